"""The code that an exported bundle carries: complete, nothing of `pipeline` in it, and it computes the same."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.export.scripts import CarriedCode, carry_code, find_defining_module
from pipeline.networks import VNet

from .test_every_network import SMALL, build

MODULES = [
    "pipeline.labelmaps.clean",
    "pipeline.networks.vnet",
    "pipeline.training.augment",
    "pipeline.training.average",
    "pipeline.training.distributed",
    "pipeline.training.loss",
    "pipeline.training.muon",
    "pipeline.training.parameters",
]
REGISTERING = ["pipeline.networks.select_attend_transfer", "pipeline.networks.skips"]
# What a bundle may count on, scipy for cleaning.
INSTALLED = {"ignite", "monai", "numpy", "scipy", "torch"}
SETTINGS = {"channels": (4, 6, 8), "convs_per_level": (1, 1, 1), "decoder_convs_per_level": (1, 1), "kernel_size": 3}

OWN = '''\
"""A skip connection of one's own: pipeline is imported in every way that Python has."""
from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pipeline.networks import (
    Skip,  # the registry
    SkipConnection as Base,
)  # both are handed on
from pipeline.networks.blocks import require_one_of  # näher
word = "ä"; from pipeline.networks import VNet, sparsity; half = 1 / 2

if TYPE_CHECKING:
\tfrom pipeline.networks.blocks import Spec  # with a tab before it

text = "from pipeline.networks import Skip"
\x0c

@Skip.register("halved")
class HalvedSkip(Base):
    """Half of the encoder's feature map is added."""

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int) -> None:
        from pipeline.networks import selected_channels as _

        super().__init__(decoder_channels=decoder_channels, transferred_channels=decoder_channels, merge="sum")
        require_one_of("half", "half", ("half",))

    def transfer(self, kept: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
        return half * kept
'''


# What becomes of it: names come from where they are defined, and all else stays.
REWRITTEN = {
    "from pipeline.networks import (\n    Skip,  # the registry\n    SkipConnection as Base,\n)": (
        "from .networks.skips import Skip, SkipConnection as Base"
    ),
    "from pipeline.networks.blocks import require_one_of": "from .networks.blocks import require_one_of",
    "from pipeline.networks import VNet, sparsity;": (
        "from .networks.vnet import VNet; from .networks.select_attend_transfer import sparsity;"
    ),
    "\tfrom pipeline.networks.blocks import Spec": "\tfrom .networks.blocks import Spec",
    "from pipeline.networks import selected_channels as _": (
        "from .networks.select_attend_transfer import selected_channels as _"
    ),
}


@pytest.fixture(scope="module")
def carried() -> CarriedCode:
    return carry_code("phantom", MODULES, [], skip_modules=REGISTERING)


@pytest.fixture
def imported(tmp_path: Path) -> Iterator[object]:
    """Writes a carried package and imports it; forgets it after the test."""
    before = set(sys.modules)

    def write_and_import(package: CarriedCode) -> ModuleType:
        for path, text in package.files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return importlib.import_module(package.package)

    sys.path.insert(0, str(tmp_path))
    yield write_and_import
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        if name.partition(".")[0].startswith("phantom_"):
            del sys.modules[name]


def imports(text: str) -> Iterator[tuple[str, int]]:
    """Module and number of dots of every import, by Python's own parser."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((item.name, 0) for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level


def test_modules_import_siblings_and_what_every_bundle_may_count_on(carried):
    absolute = {name.partition(".")[0] for text in carried.files.values() for name, dots in imports(text) if not dots}
    assert absolute - sys.stdlib_module_names <= INSTALLED
    for path, text in carried.files.items():
        for name, dots in imports(text):
            if dots:
                folder = Path(path).parents[dots - 1].joinpath(*name.split("."))
                there = {folder.with_suffix(".py").as_posix(), (folder / "__init__.py").as_posix()}
                assert there & carried.files.keys(), f"{path} imports {name}"


def test_each_module_comes_along_once_as_it_is_but_for_imports(carried):
    assert carried.names["pipeline.networks.vnet"] == f"{carried.package}.networks.vnet"
    assert {path.partition("/")[0] for path in carried.files} == {carried.package}
    root = Path(__file__).resolve().parents[2] / "pipeline"
    for module, name in carried.names.items():
        ours = (root.parent / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        theirs = carried.files[f"{name.replace('.', '/')}.py"]
        changed = set(ours.splitlines()) ^ set(theirs.splitlines())
        assert all("import " in line for line in changed), f"{module}: {changed}"
    assert not [path for path in carried.files if "checkpoint" in path or "data/datalist" in path]


def test_carried_network_computes_the_same(carried, imported):
    package = imported(carried)
    assert package.__name__ == carried.package
    for name in carried.names.values():
        importlib.import_module(name)
    theirs = sys.modules[carried.names["pipeline.networks.vnet"]].VNet
    skip = [("sat", {"select": "hard"}), "concat"]
    torch.manual_seed(0)
    ours = VNet(2, 1, 3, **SETTINGS, skip=skip).eval()
    torch.manual_seed(0)
    network = theirs(2, 1, 3, **SETTINGS, skip=skip).eval()
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(network(x), ours(x))
    network.load_state_dict(ours.state_dict(), strict=True)
    # Nothing of LightSkip works in it, though it is there to be imported.
    homes = {kind.__module__.partition(".")[0] for part in network.modules() for kind in type(part).__mro__}
    assert homes == {carried.package, "torch", "builtins"}


@pytest.mark.parametrize("form", SMALL)
def test_every_network_is_carried_with_its_skips_and_gates(form, imported):
    ours = build(form, 2)
    registering = {type(skip).__module__ for skip in ours.skips().values()}
    package = carry_code("phantom", [type(ours).__module__], [], skip_modules=registering)
    imported(package)
    home = importlib.import_module(package.names[type(ours).__module__])
    network = getattr(home, type(ours).__name__)(**{key: value for key, value in ours.spec.items() if key != "name"})
    network.eval().load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(1, 1, *(2 * divisor for divisor in ours.size_divisor))
    assert torch.equal(network(x), ours(x))
    homes = {kind.__module__.partition(".")[0] for part in network.modules() for kind in type(part).__mro__}
    assert homes <= {package.package, "torch", "builtins", "monai"}


def test_two_packages_live_beside_each_other(imported):
    first = carry_code("phantom", ["pipeline.networks.vnet"], [], skip_modules=REGISTERING)
    second = carry_code("phantom", ["pipeline.networks.vnet", "pipeline.training.muon"], [], skip_modules=REGISTERING)
    assert first.package != second.package
    assert first == carry_code("phantom", ["pipeline.networks.vnet"], [], skip_modules=REGISTERING)
    assert carry_code("other", ["pipeline.networks.vnet"], []).package.startswith("other_")
    imported(first)
    imported(second)
    skips = [importlib.import_module(f"{each.package}.networks.skips").Skip for each in (first, second)]
    assert skips[0] is not skips[1]


def test_own_skip_connection_is_carried(tmp_path, imported):
    (tmp_path / "plan").mkdir()
    file = tmp_path / "plan" / "my_skips.py"
    # As some editors write it.
    file.write_text("\ufeff" + OWN, encoding="utf-8")
    package = carry_code("phantom", ["pipeline.networks.vnet"], [file], skip_modules=["pipeline.networks.skips"])
    text = package.files[f"{package.package}/my_skips.py"]
    expected = OWN
    for before, after in REWRITTEN.items():
        assert expected.count(before) == 1
        expected = expected.replace(before, after)
    assert text == expected
    imported(package)
    theirs = importlib.import_module(f"{package.package}.networks.vnet").VNet
    network = theirs(2, 1, 3, **SETTINGS, skip=["halved", "none"]).eval()
    own = network.decoder[1].skip
    assert type(own).__module__ == f"{package.package}.my_skips"
    assert torch.equal(own(torch.full((1, 4, 2, 2), 6.0), torch.ones(1, 4, 2, 2)), torch.full((1, 4, 2, 2), 4.0))


def test_several_homes_of_one_import_get_a_line_each(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def late():\n    from pipeline.networks import VNet, Skip as S\n    return VNet, S\n")
    package = carry_code("phantom", [], [file])
    assert package.files[f"{package.package}/mine.py"].splitlines()[1:3] == [
        "    from .networks.vnet import VNet",
        "    from .networks.skips import Skip as S",
    ]


def test_what_lightskip_imports_in_turn_is_carried(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from pipeline.networks import selected_channels\n")
    package = carry_code("phantom", [], [file])
    networks = {path.rpartition("/")[2] for path in package.files if "/networks/" in path}
    assert networks >= {"select_attend_transfer.py", "skips.py", "blocks.py", "levels.py"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pipeline.networks\n", "line 1: found an import of the whole package pipeline.networks"),
        ("\nimport math, pipeline\n", "line 2: found an import of the whole package pipeline"),
        ("from pipeline import networks\n", "line 1: found an import of the whole package pipeline.networks"),
        ("from pipeline.networks import *\n", "line 1: found an import of the whole package pipeline.networks"),
        ("import helper\n", "line 1: found an import of helper, a module in the same folder"),
        ("def f():\n    from helper.x import y\n", "line 2: found an import of helper.x, a module in the same folder"),
        ("from folder.inner import y\n", "line 1: found an import of folder.inner, a module in the same folder"),
        ("from pipeline.networks.nothing import y\n", "found no LightSkip module of that name"),
    ],
)
def test_imports_that_cannot_be_carried_are_refused(tmp_path, text, found):
    (tmp_path / "helper.py").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__init__.py").touch()
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        carry_code("phantom", ["pipeline.networks.vnet"], [file])
    assert found in str(error.value)


@pytest.mark.parametrize("name", ["networks", "training"])
def test_own_module_must_not_be_called_as_a_package_of_ours(tmp_path, name):
    file = tmp_path / f"{name}.py"
    file.write_text("from pipeline.networks import Skip\n")
    with pytest.raises(InputError, match=f"a module called {name}, like a LightSkip package"):
        carry_code("phantom", ["pipeline.training.muon"], [file])


def test_a_package_of_ours_is_no_module_to_carry():
    with pytest.raises(InputError, match="a package of LightSkip"):
        carry_code("phantom", ["pipeline.networks"], [])
    with pytest.raises(InputError, match="no LightSkip module of that name"):
        carry_code("phantom", ["pipeline.networks.no_such_net"], [])


@pytest.mark.parametrize(
    ("module", "name", "home"),
    [
        ("pipeline.networks", "VNet", "pipeline.networks.vnet"),
        ("pipeline.networks", "SkipConnection", "pipeline.networks.skips"),
        ("pipeline.networks", "vnet", "pipeline.networks.vnet"),
        ("pipeline.networks.vnet", "VNet", "pipeline.networks.vnet"),
        ("pipeline.training", "AugmentBatch", "pipeline.training.augment"),
        ("pipeline.labelmaps.clean", "CleanLabelMapd", "pipeline.labelmaps.clean"),
        ("pipeline.inference", "CleanLabelMapd", "pipeline.labelmaps.clean"),
    ],
)
def test_defining_module(module, name, home):
    assert find_defining_module(module, name) == home
    # By Python itself.
    assert getattr(importlib.import_module(module), name) is not None
