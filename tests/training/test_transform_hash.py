import functools
import importlib
import operator
import re
import sys
import threading
from collections import OrderedDict
from enum import Enum
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import (
    ClassesToIndicesd,
    Compose,
    EnsureTyped,
    Lambdad,
    LoadImaged,
    NormalizeIntensityd,
    Orientationd,
    RandFlipd,
    ScaleIntensityRanged,
    Spacingd,
    SpatialPadd,
)

from pipeline.training.transform_hash import IndescribableError, describe, describe_environment, digest

USERS_MODULE = """
import functools
import numpy as np
import torch
from monai.transforms import Compose, Lambdad, MapTransform, Spacingd

FACTOR = 2

def scaled(x, by=1):
    return x * by * FACTOR if by in {"one", "two", "three"} else x

class Clip(MapTransform):
    limits = frozenset({"low", "high", "none"})
    def __init__(self, keys, upper):
        super().__init__(keys)
        self.upper = upper
    def __call__(self, data):
        return {**data, **{key: data[key].clip(0, self.upper) for key in self.keys}}

def transforms():
    return Compose([
        Spacingd("image", pixdim=np.ones(3)), Lambdad("image", lambda x: scaled(x)), Clip("image", 5),
        Lambdad("image", functools.partial(scaled, by=3)), Lambdad("image", torch.round),
    ])
"""


class Colour(Enum):
    RED = 1
    BLUE = 2


class Holder:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def enclosing(value):
    return lambda x: x + value


def config_function(factor):
    parser = ConfigParser({"factor": factor, "other": threading.Lock(), "function": "$lambda x: x * @factor"})
    parser.get_parsed_content("other")
    return parser.get_parsed_content("function")


ALIKE_AND_OTHER = [
    (lambda: 1, lambda: True),
    (lambda: "a", lambda: b"a"),
    (lambda: ["a, b"], lambda: ["a", "b"]),
    (lambda: [1], lambda: (1,)),
    (lambda: {"a": 1}, lambda: {"a": 2}),
    (lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1}),  # a mapping may be applied in its order
    (lambda: OrderedDict(a=1), lambda: {"a": 1}),
    (lambda: {3, 1, 2}, lambda: {3, 1}),
    (lambda: Colour.RED, lambda: Colour.BLUE),
    (lambda: np.arange(3), lambda: np.arange(3.0)),
    (lambda: np.zeros((2, 3)), lambda: np.zeros((3, 2))),
    (lambda: np.array(["a", None], dtype=object), lambda: np.array(["b", None], dtype=object)),
    (lambda: np.float32(1), lambda: np.float64(1)),
    (lambda: torch.zeros(2), lambda: torch.zeros(2, dtype=torch.bfloat16)),
    (lambda: torch.eye(3).T[1:], lambda: torch.eye(3)[:2]),
    (lambda: MetaTensor(torch.zeros(1, 2), affine=2 * torch.eye(4)), lambda: MetaTensor(torch.zeros(1, 2))),
    (lambda: torch.float32, lambda: torch.float64),
    (lambda: torch.round, lambda: torch.floor),
    (lambda: np.sqrt, lambda: np.round),
    (lambda: torch.nn.functional.relu, lambda: torch.nn.functional.gelu),
    (lambda: "a".upper, lambda: "b".upper),
    (lambda: operator.itemgetter(1), lambda: operator.itemgetter(2)),
    (lambda: functools.partial(max, 1), lambda: functools.partial(max, 2)),
    (lambda: functools.cache(enclosing(1)), lambda: functools.cache(enclosing(2))),
    (lambda: re.compile("a"), lambda: re.compile("a", re.IGNORECASE)),
    (lambda: slice(1), lambda: slice(2)),
    (lambda: Path("a"), lambda: Path("b")),
    (lambda: Holder(a=1), lambda: Holder(a=2)),
    (lambda: Slotted(1), lambda: Slotted(2)),
    (lambda: enclosing(1), lambda: enclosing(2)),
    (lambda: config_function(1), lambda: config_function(2)),
    (lambda: Spacingd("image", pixdim=(1, 1, 1)), lambda: Spacingd("image", pixdim=(1, 1, 1.5))),
    (lambda: Spacingd("image", pixdim=1, mode="bilinear"), lambda: Spacingd("image", pixdim=1, mode="nearest")),
    (lambda: NormalizeIntensityd("image"), lambda: NormalizeIntensityd("image", channel_wise=True)),
    (lambda: ScaleIntensityRanged("image", 0, 1, 0, 1), lambda: ScaleIntensityRanged("image", 0, 2, 0, 1)),
    (lambda: ScaleIntensityRanged("image", 0, 1, 0, 1), lambda: NormalizeIntensityd("image")),
    (lambda: LoadImaged("image", reader="NibabelReader"), lambda: LoadImaged("image", reader="ITKReader")),
    (lambda: Lambdad("image", lambda x: x + 1), lambda: Lambdad("image", lambda x: x + 2)),
    (lambda: Lambdad("image", lambda x: x.abs()), lambda: Lambdad("image", lambda x: x.neg())),
    (
        lambda: Compose([SpatialPadd("image", 8), Compose([NormalizeIntensityd("image")])]),
        lambda: Compose([SpatialPadd("image", 8), Compose([NormalizeIntensityd("label")])]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "make_other"), ALIKE_AND_OTHER)
def test_equal_things_have_one_text_and_other_things_another(make, make_other):
    # Both are kept, so that they lie at different addresses.
    first, second, other = make(), make(), make_other()
    assert describe(first) == describe(second)
    assert describe(first) != describe(other)
    assert not re.search(r"0x[0-9a-f]{6}", describe(first)), "no address"


def test_the_state_of_random_numbers_does_not_count():
    flip = RandFlipd("image", prob=0.5)
    before = describe(flip.set_random_state(1))
    assert describe(flip.set_random_state(2)) == before
    assert describe(RandFlipd("image", prob=0.4)) != before


def test_using_a_transform_does_not_change_its_text(tmp_path):
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)), path)
    transforms = Compose(
        [
            LoadImaged("image", ensure_channel_first=True),
            Orientationd("image", axcodes="RAS", labels=None),
            Spacingd("image", pixdim=(1.5, 1, 1)),
            NormalizeIntensityd("image"),
            SpatialPadd("image", 8),
            Lambdad("image", torch.round),
            EnsureTyped("image", track_meta=False),
            ClassesToIndicesd("image", num_classes=2),
        ]
    )
    before = describe(transforms)
    transforms({"image": str(path)})
    assert describe(transforms) == before


def test_a_cycle_ends():
    holder, other = Holder(a=[1]), Holder(a=[2])
    holder.a.append(holder)
    other.a.append(other)
    assert describe(holder) != describe(other)


@pytest.mark.parametrize("hidden", [threading.Lock(), Holder(inner=[threading.Lock()]), enclosing(threading.Lock())])
def test_what_hides_its_state_is_refused(hidden):
    with pytest.raises(IndescribableError, match="lock"):
        describe(hidden)


@pytest.fixture
def users_module(tmp_path, monkeypatch):
    """Function that writes a module as users do and imports it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "users_module.py").write_text(USERS_MODULE)

    def load(old="", new=""):
        assert old in USERS_MODULE
        (tmp_path / "users_module.py").write_text(USERS_MODULE.replace(old, new) if old else USERS_MODULE)
        sys.modules.pop("users_module", None)
        importlib.invalidate_caches()
        return importlib.import_module("users_module")

    yield load
    sys.modules.pop("users_module", None)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("FACTOR = 2", "FACTOR = 3", False),
        ("x * by * FACTOR", "x + by * FACTOR", False),
        ("clip(0, self.upper)", "clip(1, self.upper)", False),
        ('"high", "none"', '"high", "other"', False),
        ("by=3", "by=4", False),
        ("\n\nclass Clip", "\n# a comment\n\nUNUSED = 1\n\nclass Clip", True),
    ],
)
def test_the_code_of_users_counts(users_module, old, new, same):
    before = describe(users_module().transforms())
    assert describe(users_module().transforms()) == before, "imported anew"
    assert (describe(users_module(old, new).transforms()) == before) is same


def test_the_environment_names_versions():
    environment = describe_environment()
    assert f"torch {torch.__version__}" in environment
    assert f"numpy {np.__version__}" in environment
    assert "track_meta True" in environment


def test_a_digest_is_a_file_name():
    assert re.fullmatch("[0-9a-f]{32}", digest("any text, \udcff too"))
    assert digest("a") != digest("b")
