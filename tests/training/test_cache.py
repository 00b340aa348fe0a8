import json
import os
import subprocess
import sys
import threading
from copy import deepcopy
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.data import CacheDataset, DataLoader
from monai.transforms import (
    ClassesToIndicesd,
    Compose,
    EnsureTyped,
    Lambdad,
    LoadImaged,
    MapTransform,
    NormalizeIntensityd,
    OneOf,
    Orientationd,
    RandCropByLabelClassesd,
    RandFlipd,
    RandGaussianNoised,
    RandomizableTransform,
    RandScaleIntensityd,
    RandSpatialCropSamplesd,
    SelectItemsd,
    Spacingd,
    SpatialPadd,
)

from pipeline.training.cache import PreparedDataset

KEYS = ["image", "label"]
COUNT = 4


@pytest.fixture
def cases(tmp_path):
    generator = np.random.default_rng(3)
    for number in range(COUNT):
        write_scan(tmp_path / f"image_{number}.nii.gz", generator.integers(0, 900, (8, 9, 7)))
        write_scan(tmp_path / f"label_{number}.nii.gz", generator.integers(0, 3, (8, 9, 7)))
    return [{key: str(tmp_path / f"{key}_{number}.nii.gz") for key in KEYS} for number in range(COUNT)]


def write_scan(path, voxels):
    nib.save(nib.Nifti1Image(voxels.astype(np.int16), np.diag([1.0, 1.0, 1.5, 1.0])), path)


@pytest.fixture
def loads(monkeypatch):
    """List the images loaded from files, in order."""
    names = []
    original = LoadImaged.__call__

    def load(self, data, *rest):
        names.append(Path(data["image"]).name)
        return original(self, data, *rest)

    monkeypatch.setattr(LoadImaged, "__call__", load)
    return names


def deterministic(**changes):
    """Return the recipe's transforms, optionally with other settings."""
    steps = {
        "load": LoadImaged(KEYS, ensure_channel_first=True),
        "orient": Orientationd(KEYS, axcodes="RAS", labels=None),
        "space": Spacingd(KEYS, pixdim=(1.0, 1.0, 1.2), mode=["bilinear", "nearest"]),
        "normalise": NormalizeIntensityd("image", channel_wise=True),
        "pad": SpatialPadd(KEYS, spatial_size=(10, 10, 10)),
        "round": Lambdad("label", torch.round),
        "type": EnsureTyped(KEYS, dtype=[torch.float32, torch.uint8], track_meta=False),
        "indices": ClassesToIndicesd("label", num_classes=3, max_samples_per_class=50),
    }
    return list({**steps, **changes}.values())


def random_ones(samples=1):
    crop = RandCropByLabelClassesd(
        KEYS,
        label_key="label",
        indices_key="label_cls_indices",
        spatial_size=(6, 6, 6),
        num_classes=3,
        num_samples=samples,
    )
    choice = OneOf([RandScaleIntensityd("image", 0.3, prob=0.5), RandGaussianNoised("image", prob=0.5)])
    return [crop, SelectItemsd(KEYS), RandFlipd(KEYS, prob=0.5, spatial_axis=0), choice]


def make(cases, transforms=None, *, folder=None, config="recipe", **options):
    transforms = deterministic() if transforms is None else transforms
    return PreparedDataset(cases, Compose(transforms), cache_dir=folder, config=config, progress=False, **options)


CONFIG = {
    "imports": ["$from pipeline.training import config_text"],
    "spacing": [1.0, 1.0, 1.2],
    "patch": [6, 6, 6],
    "train": {
        "deterministic_transforms": [
            {"_target_": "LoadImaged", "keys": KEYS, "ensure_channel_first": True},
            {"_target_": "Orientationd", "keys": KEYS, "axcodes": "RAS", "labels": None},
            {"_target_": "Spacingd", "keys": KEYS, "pixdim": "@spacing", "mode": ["bilinear", "nearest"]},
            {"_target_": "NormalizeIntensityd", "keys": "image", "channel_wise": True},
            {"_target_": "Lambdad", "keys": "label", "func": "$torch.round"},
            {"_target_": "EnsureTyped", "keys": KEYS, "dtype": ["$torch.float32", "$torch.uint8"], "track_meta": False},
        ],
        "random_transforms": [{"_target_": "RandFlipd", "keys": KEYS, "prob": 0.5}],
        "preprocessing": {
            "_target_": "Compose",
            "transforms": "$@train#deterministic_transforms + @train#random_transforms",
        },
        "dataset": {
            "_target_": "pipeline.training.PreparedDataset",
            "transform": "@train#preprocessing",
            "config": "$config_text('train#preprocessing', without='train#random_transforms')",
            "progress": False,
        },
    },
}


def configured(cases, folder, overrides=None):
    """Return the dataset of a config as MONAI's runner builds it, and the config's deterministic transforms."""
    parser = ConfigParser(deepcopy(CONFIG))
    for id, value in {"train#dataset#data": cases, "train#dataset#cache_dir": str(folder), **(overrides or {})}.items():
        parser[id] = value
    dataset = parser.get_parsed_content("train#dataset")
    return dataset, parser.get_parsed_content("train#deterministic_transforms")


def assert_same(found, expected):
    """Return whether two items are equal in content and type, at any depth."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    else:
        assert found == expected


def assert_as_monais(dataset, cases, transforms):
    expected = CacheDataset(cases, Compose(transforms), progress=False)
    assert len(dataset) == len(expected)
    for found, item in zip(dataset, expected, strict=True):
        assert_same(found, item)


def test_gives_what_monais_dataset_gives_and_loads_each_case_once(cases, loads, tmp_path):
    assert_as_monais(make(cases), cases, deterministic())
    loads.clear()
    folder = tmp_path / "cache"
    new = make(cases, folder=folder, num_workers=2)
    assert sorted(loads) == [f"image_{number}.nii.gz" for number in range(COUNT)]
    loads.clear()
    again = make(cases, folder=folder)
    assert loads == []
    for dataset in (new, again):
        assert_as_monais(dataset, cases, deterministic())
    assert "key" not in again[0], "nothing is random"


STEPS = "train#deterministic_transforms#"
CHANGES = [
    {"spacing": [1.0, 1.0, 1.5]},
    {STEPS + "2#mode": ["nearest", "nearest"]},
    {
        STEPS + "3": {
            "_target_": "ScaleIntensityRanged",
            "keys": "image",
            "a_min": 0,
            "a_max": 900,
            "b_min": 0,
            "b_max": 1,
        }
    },
    {STEPS + "3#nonzero": True},
    {STEPS + "4#func": "$lambda label: label.clip(0, 1)"},
    {STEPS + "4#func": "$lambda label: label.clip(0, 2)"},
]


@pytest.mark.slow
def test_every_changed_setting_is_noticed_and_none_drives_out_another(cases, loads, tmp_path):
    folder = tmp_path / "cache"
    configured(cases, folder)
    for change in CHANGES:
        loads.clear()
        dataset, transforms = configured(cases, folder, change)
        assert len(loads) == COUNT
        assert_same(dataset._cache[1], Compose(transforms)(cases[1]))
    loads.clear()
    for change in [{}, *CHANGES]:
        configured(cases, folder, change)
    assert loads == []


def test_random_transforms_share_the_results_of_the_same_deterministic_ones(cases, loads, tmp_path):
    configured(cases, tmp_path / "cache")
    loads.clear()
    crop = {"_target_": "RandSpatialCropd", "keys": KEYS, "roi_size": "@patch"}
    for change in ({"train#random_transforms#0#prob": 0.1}, {"train#random_transforms": [crop]}, {"patch": [4, 4, 4]}):
        configured(cases, tmp_path / "cache", change)
    assert loads == []


def test_another_list_of_transforms_is_another_text(cases, loads, tmp_path):
    configured(cases, tmp_path / "cache")
    for change in (
        "$@train#deterministic_transforms[:-1] + @train#random_transforms",
        [*CONFIG["train"]["deterministic_transforms"], {"_target_": "ScaleIntensityd", "keys": "image"}],
    ):
        loads.clear()
        configured(cases, tmp_path / "cache", {"train#preprocessing#transforms": change})
        assert len(loads) == COUNT


def test_a_changed_scan_is_noticed(cases, loads, tmp_path):
    folder = tmp_path / "cache"
    before = make(cases, folder=folder)
    path = Path(cases[2]["image"])
    write_scan(path, np.arange(8 * 9 * 7).reshape(8, 9, 7))
    loads.clear()
    after = make(cases, folder=folder)
    assert loads == ["image_2.nii.gz"]
    assert not torch.equal(after[2]["image"], before[2]["image"])
    assert_as_monais(after, cases, deterministic())


def test_a_damaged_file_is_made_anew(cases, loads, tmp_path, caplog):
    folder = tmp_path / "cache"
    make(cases, folder=folder)
    damaged = sorted(folder.glob("*/*.case"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-40])
    loads.clear()
    assert_as_monais(make(cases, folder=folder), cases, deterministic())
    assert "cannot read a cached case" in caplog.text
    loads.clear()
    make(cases, folder=folder)
    assert loads == []


def test_without_the_text_of_a_config_nothing_is_kept(cases, tmp_path, caplog):
    dataset = make(cases, folder=tmp_path / "cache", config=None)
    assert_as_monais(dataset, cases, deterministic())
    assert caplog.text.count("prepared cases are not cached on disk") == 1
    assert not (tmp_path / "cache").exists()


def test_without_a_writable_folder_all_goes_on_in_memory(cases, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    assert_as_monais(make(cases, folder=tmp_path / "file"), cases, deterministic())
    assert caplog.text.count("writing no more prepared cases") == 1


def test_metadata_come_back_and_can_be_inverted(cases, tmp_path):
    transforms = deterministic()[:3]
    make(cases, transforms, folder=tmp_path / "cache")
    item = make(cases, transforms, folder=tmp_path / "cache")[0]
    expected = Compose(transforms)(cases[0])
    assert_same(item["image"].as_tensor(), expected["image"].as_tensor())
    assert torch.equal(item["image"].affine, expected["image"].affine)
    inverted = Compose(deterministic()[:3]).inverse(item)
    assert inverted["image"].shape == (1, 8, 9, 7)


OTHER_PROCESS = """
import json, sys
from tests.training.test_cache import configured
cases, folder = json.loads(sys.argv[1]), sys.argv[2]
dataset, _ = configured(cases, folder, {"train#dataset#cache_rate": 0})
print(json.dumps([str(dataset._files.key(case)[0]) for case in cases]))
"""


@pytest.mark.slow
def test_another_process_finds_the_same_files(cases, tmp_path):
    dataset, _ = configured(cases, tmp_path / "cache", {"train#dataset#cache_rate": 0})
    other = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, json.dumps(cases), str(tmp_path / "cache")],
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(other.stdout.splitlines()[-1]) == [str(dataset._files.key(case)[0]) for case in cases]


def draws(dataset, *, num_workers=0, epochs=(1, 2), shuffle=False):
    """Return the samples of each epoch by their keys."""
    drawn = []
    loader = DataLoader(dataset, batch_size=2, num_workers=num_workers, shuffle=shuffle)
    for epoch in epochs:
        dataset.set_epoch(epoch)
        batches = list(loader)
        assert batches[0]["key"].dtype == torch.int64
        keys = torch.cat([batch["key"] for batch in batches]).tolist()
        drawn.append(dict(zip(keys, torch.cat([batch["image"] for batch in batches]), strict=True)))
        assert len(drawn[-1]) == len(keys), "every item has a key of its own"
        assert min(keys) >= 0
    return drawn


def assert_same_draws(found, expected):
    for samples, others in zip(found, expected, strict=True):
        assert samples.keys() == others.keys()
        assert all(torch.equal(samples[key], others[key]) for key in others)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 2])
def test_samples_depend_on_seed_epoch_and_number_alone(cases, tmp_path, samples):
    transforms = deterministic() + random_ones(samples)
    expected = draws(make(cases, transforms))
    assert len(expected[0]) == COUNT * samples
    assert not expected[0].keys() & expected[1].keys(), "epochs differ"
    assert not any(torch.equal(*pair) for pair in zip(expected[0].values(), expected[1].values(), strict=True))
    for cache_rate in (0.0, 0.5, 1.0):
        for folder in (None, tmp_path / "cache"):
            assert_same_draws(draws(make(cases, transforms, folder=folder, cache_rate=cache_rate)), expected)
    # Whatever the order, what was drawn before, and how other generators are seeded.
    dataset = make(cases, transforms)
    for number in (3, 0, -1):
        dataset[number]
    torch.manual_seed(99)
    assert_same_draws(draws(dataset, epochs=(2, 1), shuffle=True), expected[::-1])
    assert not draws(make(cases, transforms, seed=1))[0].keys() & expected[0].keys(), "seeds differ"


def test_worker_processes_draw_the_same(cases, tmp_path):
    transforms = deterministic() + random_ones()
    expected = draws(make(cases, transforms))
    dataset = make(cases, transforms, folder=tmp_path / "cache", cache_rate=0.5)
    assert_same_draws(draws(dataset, num_workers=2), expected)


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_engine_makes_its_iterator_after_the_epoch_is_told(cases, num_workers):
    dataset = make(cases, deterministic() + random_ones())
    expected = [set(samples) for samples in draws(dataset, epochs=(1, 2, 3))]
    seen = {}
    engine = Engine(lambda engine, batch: seen.setdefault(engine.state.epoch, set()).update(batch["key"].tolist()))
    engine.add_event_handler(Events.EPOCH_STARTED, lambda engine: dataset.set_epoch(engine.state.epoch))
    engine.run(DataLoader(dataset, batch_size=2, num_workers=num_workers, shuffle=True), max_epochs=3)
    assert [seen[epoch] for epoch in (1, 2, 3)] == expected


def test_crops_of_one_case_have_their_own_keys(cases):
    crops = RandSpatialCropSamplesd(KEYS, roi_size=(4, 4, 4), num_samples=3, random_size=False)
    items = make(cases, [*deterministic(), crops])[0]
    keys = [item["key"] for item in items]
    assert len(set(keys)) == 3
    assert all(type(key) is int and 0 <= key < 2**63 for key in keys)


def test_a_random_transform_does_not_change_what_is_kept(cases, tmp_path):
    class InPlace(RandomizableTransform):
        def __call__(self, data):
            data["image"].zero_()
            data["label_cls_indices"].clear()
            return data

    for options in ({}, {"cache_rate": 0}, {"folder": tmp_path / "cache"}):
        dataset = make(cases, [*deterministic(), InPlace()], **options)
        assert_same(dataset[1], dataset[1])
        kept = dataset._load_cache_item(1) if options else dataset._cache[1]
        assert kept["image"].any()
        assert kept["label_cls_indices"]
    raw = [{"image": torch.ones(2), "label_cls_indices": [1]}]
    make(raw, [InPlace()], cache_rate=0)[0]
    assert raw[0]["image"].all()


def test_a_nested_list_of_deterministic_transforms_is_not_random(cases):
    dataset = make(cases, [*deterministic()[:-1], Compose(deterministic()[-1:])])
    assert "key" not in dataset[0]


def test_other_options_of_monais_dataset_work(cases):
    transforms = deterministic() + random_ones()
    expected = make(cases, transforms)
    for options in ({"hash_as_key": True, "cache_rate": 0.5}, {"runtime_cache": True}, {"cache_num": 1}):
        dataset = make(cases, transforms, **options)
        assert [item["key"] for [item] in dataset] == [item["key"] for [item] in expected]
        assert_same(dataset[-1], expected[COUNT - 1])
    with pytest.raises(IndexError, match="sample 4 of 4"):
        expected[COUNT]


def test_new_data_are_prepared_with_the_transforms_there_are(cases, loads, tmp_path):
    dataset = make(cases[:2], folder=tmp_path / "cache")
    loads.clear()
    dataset.set_data(cases)
    assert sorted(loads) == ["image_2.nii.gz", "image_3.nii.gz"]
    assert len(dataset) == COUNT


def test_negative_numbers_are_refused(cases):
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        make(cases, seed=-1)
    with pytest.raises(ValueError, match="epoch must not be negative, got -1"):
        make([], []).set_epoch(-1)


class Forgetful(MapTransform):
    """Store the argument in itself, as MONAI's readers do, and wait until another thread calls it."""

    def __init__(self, meeting: "Meeting") -> None:
        super().__init__("image")
        self.meeting = meeting
        self.seen = ""

    def __call__(self, data):
        self.seen = data["image"]
        self.meeting.wait()
        return {**data, "image": self.seen}


class Meeting(threading.Barrier):
    """A barrier that all copies share, because it synchronises threads."""

    def __deepcopy__(self, memo):
        return self


def test_threads_do_not_share_what_a_reader_keeps_in_itself():
    items = [{"image": name} for name in ("one", "two")]
    dataset = PreparedDataset(items, Compose([Forgetful(Meeting(2, timeout=300))]), num_workers=2, progress=False)
    assert [item["image"] for item in dataset] == ["one", "two"]
