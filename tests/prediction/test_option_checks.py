"""Options that Python passes: of another type, out of range, or the same weights twice."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline.data.errors import InputError
from pipeline.prediction.bundle_files import read_bundle_files
from pipeline.prediction.option_checks import check_weights_given, list_weights

# Options of `Predictor`, and the words of the message.
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "memory below 0": ({"memory": -4}, "--memory: found -4", "a number above 0 with its unit: MB, GB, MiB or GiB"),
    "no memory": ({"memory": 0}, "--memory: found 0", "a number above 0"),
    "memory that is no number": ({"memory": float("nan")}, "--memory: found nan", "at most 1000 TB"),
    "memory of no machine": ({"memory": 10**30}, "--memory: found 1000", "at most 1000 TB"),
    "memory as a switch": ({"memory": True}, "--memory: found True", "a number above 0"),
    "memory as a list": ({"memory": [1]}, "--memory: found [1]", "a number above 0"),
    "memory without a unit": ({"memory": "4"}, "--memory: found 4", "with its unit"),
    "no threads": ({"threads": 0}, "--threads: found 0", "1 to "),
    "threads below 0": ({"threads": -1}, "--threads: found -1", "1 to "),
    "a half thread": ({"threads": 1.5}, "--threads: found 1.5", "1 to "),
    "threads as a text": ({"threads": "4"}, "--threads: found '4'", "1 to "),
    "threads as a switch": ({"threads": True}, "--threads: found True", "1 to "),
    "overlap above 1": ({"settings": {"inferer#overlap": 1.5}}, "inferer#overlap 1.5", "at least 0 and less than 1"),
    "settings as a number": ({"settings": 5}, "settings: found 5", "a mapping"),
    "settings as a list": ({"settings": ["a"]}, "settings: found ['a']", "a mapping"),
    "a setting without a name": ({"settings": {5: 1}}, "settings: found 5", "a mapping"),
    "device as a number": ({"device": 3}, "--device: found 3", "auto, cpu, cuda or cuda:N"),
    "no device": ({"device": None}, "--device: found None", "auto, cpu, cuda or cuda:N"),
    "no runtime": ({"runtime": None}, "--runtime: found None", "one of auto, pytorch, openvino"),
    "tta as a text": ({"tta": "no"}, "tta: found 'no'", "True or False"),
    "no pass": ({"dropout_samples": 0}, "dropout_samples: found 0", "a whole number from 1"),
    "passes as a text": ({"dropout_samples": "8"}, "dropout_samples: found '8'", "a whole number from 1"),
    "fast as a number": ({"fast": 2}, "fast: found 2", "True or False"),
    "postprocessing as a text": ({"postprocessing": "no"}, "postprocessing: found 'no'", "True or False"),
    "windows below 0": ({"windows": -1}, "windows: found -1", "a number, 0 or more"),
    "windows that are no number": ({"windows": float("nan")}, "windows: found nan", "a number, 0 or more"),
    "another runtime to continue": ({"only": "onnx"}, "only: found 'onnx'", "one of pytorch, openvino"),
    "weights as a number": ({"checkpoint": 5}, "--checkpoint: found 5", "a file of weights, or a list of files"),
    "a number among weights": ({"checkpoint": ["a.pt", 5]}, "--checkpoint: found 5", "a list of files"),
    "missing weights": ({"checkpoint": "none.pt"}, "none.pt: found no such file", "the weights"),
    "weights without a name": ({"checkpoint": ""}, "found no such file", "the weights"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_option_that_cannot_be_is_refused(name: str, tiny_bundle: Path) -> None:
    options, found, expected = WRONG[name]
    for call in (
        lambda: pipeline.Predictor(tiny_bundle, **{"device": "cpu", "runtime": "pytorch", **options}),
        lambda: pipeline.predict(tiny_bundle, [], **{"device": "cpu", "runtime": "pytorch", **options}),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert found in str(raised.value)
        assert expected in raised.value.expected


@pytest.mark.parametrize("bundle", [5, None, ["a"]])
def test_a_bundle_is_a_path(bundle: Any) -> None:
    for call in (lambda: pipeline.Predictor(bundle), lambda: pipeline.predict(bundle, "scan.nii.gz")):
        with pytest.raises(InputError, match="the path of a bundle's folder"):
            call()


def test_what_a_call_returns_is_a_switch(tiny_bundle: Path) -> None:
    predictor = pipeline.Predictor(tiny_bundle, device="cpu", runtime="pytorch")
    for options in ({"probabilities": "no"}, {"uncertainty": 1}):
        with pytest.raises(InputError, match="expected True or False"):
            predictor("scan.nii.gz", **options)
        with pytest.raises(InputError, match="expected True or False"):
            pipeline.predict(tiny_bundle, "scan.nii.gz", **options)


@pytest.mark.parametrize("memory", [4 * 10**9, 4e9, np.int64(4 * 10**9), "4GB"])
def test_memory_may_be_any_number_of_bytes(memory: Any, tiny_bundle: Path) -> None:
    predictor = pipeline.Predictor(tiny_bundle, device="cpu", runtime="pytorch", memory=memory)
    assert predictor.budget.memory == 4 * 10**9


def test_one_file_or_several_are_weights() -> None:
    assert list_weights(None) == list_weights([]) == []
    assert list_weights("a.pt") == ["a.pt"]
    assert list_weights((Path("a.pt"), "b.pt")) == [Path("a.pt"), "b.pt"]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Different weights a.pt and b.pt in the working directory, and other names for a.pt."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path(f"{name}.pt").write_text(name)
    Path("link.pt").symlink_to("a.pt")
    shutil.copy("a.pt", "copy.pt")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["a.pt", "a.pt"], "a.pt twice"),
        (["a.pt", "b.pt", "a.pt"], "a.pt twice"),
        (["a.pt", "./a.pt"], "one file by two names, a.pt and ./a.pt"),
        (["a.pt", "link.pt"], "one file by two names, a.pt and link.pt"),
        (["b.pt", "copy.pt", "a.pt"], "one file and a copy of it, copy.pt and a.pt"),
    ],
)
@pytest.mark.usefixtures("weights")
def test_weights_named_twice_are_refused(files: list[str], found: str, tiny_bundle: Path) -> None:
    for call in (check_weights_given, lambda files: read_bundle_files(tiny_bundle, checkpoints=files)):
        with pytest.raises(InputError) as raised:
            call(files)
        assert (raised.value.where, raised.value.found) == ("--checkpoint", found)
        assert "counts once in the average" in raised.value.expected
    with pytest.raises(InputError, match="counts once in the average"):
        pipeline.Predictor(tiny_bundle, checkpoint=files, device="cpu", runtime="pytorch")


@pytest.mark.usefixtures("weights")
def test_different_weights_pass() -> None:
    check_weights_given(["a.pt", "b.pt"])
    check_weights_given([])
