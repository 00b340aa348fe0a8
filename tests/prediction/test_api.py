"""`pipeline.predict`: what may be given, what comes back, and that nothing else happens."""

import concurrent.futures
import json
import logging
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from monai.data import MetaTensor

import pipeline
from pipeline.bundle.render import write_rendered
from pipeline.data.errors import InputError

SHAPE = (18, 20, 17)
AFFINE = np.array([[-1.0, 0, 0, 9], [0, -1, 0, 10], [0, 0, 1, -8], [0, 0, 0, 1]])
Phantom = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def voxels(phantom: Phantom) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return np.asarray(phantom(index @ AFFINE[:3, :3].T + AFFINE[:3, 3]), dtype=np.float32)


@pytest.fixture
def file(voxels: np.ndarray, tmp_path: Path) -> Path:
    image = nib.Nifti1Image(voxels, AFFINE)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "a.nii.gz")
    return tmp_path / "a.nii.gz"


@pytest.fixture(scope="module")
def two_channels(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with two channels, and random weights."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("bundle") / "two"))
    plan = yaml.safe_load((folder / "plan.yaml").read_text())
    plan["data"]["channels"] = ["T1", "T2"]
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    write_rendered(folder)
    config = folder / "configs" / "inference.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"precision": "float32"}))
    parser = ConfigParser()
    parser.read_config(str(config))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        torch.save(parser.get_parsed_content("network_def").state_dict(), folder / "models" / "model.pt")
    return folder


def test_a_file_an_array_and_a_tensor_give_the_same(tiny_bundle: Path, file: Path, voxels: np.ndarray) -> None:
    scans: list[Any] = [
        file,
        str(file),
        (file,),
        voxels[None],
        MetaTensor(torch.as_tensor(voxels)[None], affine=torch.as_tensor(AFFINE)),
    ]
    found = [pipeline.predict(tiny_bundle, scan) for scan in (*scans[:3], scans[4])]
    found.append(pipeline.predict(tiny_bundle, scans[3], affine=AFFINE))
    assert set(np.unique(found[0].labels)) == {0, 1, 2}
    for one in found:
        np.testing.assert_array_equal(one.labels, found[0].labels)
        np.testing.assert_array_equal(one.affine, AFFINE)
        assert (one.labels.shape, one.labels.dtype) == (SHAPE, np.uint8)
        assert (one.probabilities, one.entropy, one.uncertainty) == (None, None, None)


def test_a_bundle_can_be_named(tiny_bundle: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "of_this_test").symlink_to(tiny_bundle)
    by_path = pipeline.predict(tiny_bundle, file)
    assert np.array_equal(pipeline.predict("of_this_test", file).labels, by_path.labels)
    assert np.array_equal(pipeline.Predictor("of_this_test")(file).labels, by_path.labels)
    for start in (pipeline.Predictor, lambda name: pipeline.predict(name, file)):
        with pytest.raises(InputError, match="did you mean of_this_test"):
            start("of_this_tests")


def test_a_list_gives_a_list(tiny_bundle: Path, file: Path, voxels: np.ndarray) -> None:
    found = pipeline.predict(tiny_bundle, [file, voxels[:, :, :9]])
    assert [one.labels.shape for one in found] == [SHAPE, (18, 20, 9)]
    assert pipeline.predict(tiny_bundle, []) == []
    assert isinstance(pipeline.predict(tiny_bundle, [file]), list)


def test_everything_that_may_be_asked_for(tiny_bundle: Path, file: Path) -> None:
    one = pipeline.predict(tiny_bundle, file, probabilities=True, uncertainty=True)
    assert one.probabilities is not None
    assert one.entropy is not None
    assert (one.probabilities.shape, one.probabilities.dtype) == ((*SHAPE, 3), np.float32)
    np.testing.assert_allclose(one.probabilities.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(one.probabilities.argmax(axis=-1), one.labels)
    assert (one.entropy.shape, one.entropy.dtype) == (SHAPE, np.float32)
    assert 0 <= one.entropy.min() <= one.entropy.max() <= 1
    assert one.uncertainty is not None
    assert 0 < one.uncertainty < 1
    assert [(label.value, label.name) for label in one.table] == [(1, "core"), (2, "rim")]
    tensor = one.metatensor
    assert isinstance(tensor, MetaTensor)
    assert tuple(tensor.shape) == (1, *SHAPE)
    np.testing.assert_array_equal(tensor.affine, AFFINE)


def test_files_of_one_channel_each_are_one_scan(two_channels: Path, voxels: np.ndarray, tmp_path: Path) -> None:
    channels = [voxels, voxels[::-1] ** 2]
    files = [tmp_path / name for name in ("t1.nii.gz", "t2.nii.gz")]
    for channel, target in zip(channels, files, strict=True):
        nib.save(nib.Nifti1Image(channel, AFFINE), target)
    together = pipeline.predict(two_channels, (files[0], files[1]), probabilities=True)
    stacked = pipeline.predict(two_channels, np.stack(channels), affine=AFFINE, probabilities=True)
    swapped = pipeline.predict(two_channels, (files[1], files[0]), probabilities=True)
    assert together.probabilities is not None
    np.testing.assert_allclose(together.probabilities, stacked.probabilities, atol=1e-5)
    assert np.abs(together.probabilities - swapped.probabilities).max() > 1e-3
    with pytest.raises(InputError, match=r"axes|channel"):
        pipeline.predict(two_channels, files[0])


def test_calls_repeat_and_leave_the_array_alone(tiny_bundle: Path, voxels: np.ndarray) -> None:
    before = voxels.copy()
    found = [pipeline.predict(tiny_bundle, voxels, affine=AFFINE, probabilities=True) for _ in range(2)]
    np.testing.assert_array_equal(voxels, before)
    np.testing.assert_array_equal(found[0].probabilities, found[1].probabilities)


def test_nothing_else_happens(
    tiny_bundle: Path,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(multiprocessing.Process, "start", refuse)
    monkeypatch.setattr(concurrent.futures.ProcessPoolExecutor, "__init__", refuse)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    level, handlers, threads = root.level, list(root.handlers), torch.get_num_threads()
    before = {path: path.stat().st_mtime_ns for place in (tmp_path, tiny_bundle) for path in place.rglob("*")}
    pipeline.predict(tiny_bundle, file, probabilities=True, uncertainty=True)
    assert capfd.readouterr() == ("", "")
    assert (root.level, root.handlers, torch.get_num_threads()) == (level, handlers, threads)
    after = {path: path.stat().st_mtime_ns for place in (tmp_path, tiny_bundle) for path in place.rglob("*")}
    assert after == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        ("nowhere.nii.gz", "nowhere.nii.gz: found "),
        (np.zeros((3, 3)), "shape"),
        (np.full((9, 9, 9), np.nan), "finite"),
        (("a.nii.gz", "b.nii.gz"), "2 image files in one case"),
    ],
    ids=["no file", "two axes", "NaN", "two files"],
)
def test_errors_are_plain(scan: Any, words: str, tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match=words):
        pipeline.predict(tiny_bundle, scan)


def test_errors_of_options_are_plain(tiny_bundle: Path, tmp_path: Path, voxels: np.ndarray) -> None:
    with pytest.raises(InputError, match="no configs"):
        pipeline.predict(tmp_path, voxels)
    with pytest.raises(InputError, match=r"nowhere\.pt"):
        pipeline.predict(tiny_bundle, voxels, checkpoint="nowhere.pt")
    with pytest.raises(InputError, match="precision"):
        pipeline.predict(tiny_bundle, voxels, settings={"precisoin": "float32"})
    with pytest.raises(InputError, match=r"configs/inference\.json: precision: found 'half'"):
        pipeline.predict(tiny_bundle, voxels, settings={"precision": "half"})
    with pytest.raises(TypeError, match="threds"):
        pipeline.predict(tiny_bundle, voxels, threds=1)


@pytest.mark.parametrize("scan", [None, 5, nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)), (), ("a", 1)])
def test_what_is_no_scan_is_told(scan: Any, tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match="expected a path, paths of one channel each, an array or a MetaTensor"):
        pipeline.predict(tiny_bundle, scan)


def test_an_affine_for_a_file_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match="files and MetaTensors have their own"):
        pipeline.predict(tiny_bundle, "scan.nii.gz", affine=np.eye(4))


@pytest.mark.parametrize(("option", "value"), [("memory", "much"), ("threads", 0), ("device", "gpu0")])
def test_options_are_checked(option: str, value: Any, tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match=f"--{option}"):
        pipeline.predict(tiny_bundle, np.zeros((4, 4, 4)), **{option: value})
