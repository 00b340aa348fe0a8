"""What a user says about weights, memory, threads, device and runtime."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.data.errors import InputError
from pipeline.prediction import settings
from pipeline.prediction.settings import (
    check_device_name,
    check_thread_count,
    choose_checkpoints,
    choose_device,
    memory_budget,
)


def test_memory_is_read_with_its_unit() -> None:
    assert memory_budget("4GB") == 4 * 10**9
    assert memory_budget("1.5GiB") == 3 * 2**29


@pytest.mark.parametrize("text", ["5", "0GB", "-1GB", "much", "4 quarts", "", "1e30GB", "9" * 400 + "GB", "1001TB"])
def test_memory_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--memory"):
        memory_budget(text)


def test_memory_is_most_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "free_bytes", lambda: 10**10)
    assert memory_budget(None) == 8 * 10**9


def test_folds_name_the_weights_of_their_trainings(tmp_path: Path) -> None:
    files = [tmp_path / "runs" / f"fold_{fold}" / "model.pt" for fold in (0, 3)]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    found, note = choose_checkpoints(tmp_path, folds=[3, 0])
    assert found == [str(files[1]), str(files[0])]
    assert [line.split(" (")[0] for line in note.splitlines()] == [
        f"weights: {files[1]}, of training fold_3",
        f"weights: {files[0]}, of training fold_0",
    ]
    with pytest.raises(InputError, match="weights of fold 1") as raised:
        choose_checkpoints(tmp_path, folds=[0, 1])
    assert "--fold 1" in raised.value.remedy


def test_files_of_weights_stay_as_they_are(tmp_path: Path) -> None:
    assert choose_checkpoints(tmp_path, ["b.pt", "a.pt"]) == (["b.pt", "a.pt"], "")
    assert choose_checkpoints(tmp_path) == ([], "")
    with pytest.raises(InputError, match="--folds"):
        choose_checkpoints(tmp_path, ["a.pt"], [0])
    with pytest.raises(InputError, match="--training: found --folds as well"):
        choose_checkpoints(tmp_path, folds=[0], trainings=["fold_0"])


def test_the_only_training_is_taken_and_of_several_the_named_ones(tmp_path: Path) -> None:
    files = [tmp_path / "runs" / name / "model.pt" for name in ("fold_0", "long")]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True)
        file.touch()
        if number == 0:
            found, note = choose_checkpoints(tmp_path)
            assert found == [str(file)]
            assert "of the only training fold_0" in note
    with pytest.raises(InputError, match=r"2 trainings: fold_0 \(.*; long \("):
        choose_checkpoints(tmp_path)
    assert choose_checkpoints(tmp_path, trainings=["long", "fold_0"])[0] == [str(files[1]), str(files[0])]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt").touch()
    assert choose_checkpoints(tmp_path) == ([], "")


@pytest.mark.parametrize(
    ("options", "where"),
    [({"folds": [0, 1, 0]}, "--folds: found 0 twice"), ({"trainings": ["a", "a"]}, "--training: found a twice")],
)
def test_a_training_named_twice_is_refused(options: dict[str, Any], where: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=where) as raised:
        choose_checkpoints(tmp_path, **options)
    assert "counts once in the average" in raised.value.expected


def test_threads_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [check_thread_count(count) for count in (None, 1, 64)] == [None, 1, 64]
    monkeypatch.setattr("os.cpu_count", lambda: 96)
    assert check_thread_count(96) == 96
    for count in (0, -1, 97, 10**6):
        with pytest.raises(InputError, match="1 to 96"):
            check_thread_count(count)


def test_devices_are_known_by_name() -> None:
    # Whether they are here is another question, which the bundle's config answers.
    assert [check_device_name(name) for name in ("auto", "cpu", "cuda", "cuda:1")] == ["auto", "cpu", "cuda", "cuda:1"]
    for name in ("gpu0", "", "cuda:x", "meta", "Cpu "):
        with pytest.raises(InputError, match="cuda:N"):
            check_device_name(name)


def test_a_runtime_for_cpus_takes_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("auto", "cpu", "cuda:1"):
        assert choose_device("pytorch", device) == device
        assert choose_device("auto", device) == device
    monkeypatch.setattr(settings, "find_spec", lambda _: object())
    assert [choose_device("openvino", device) for device in ("auto", "cpu", "cpu:0")] == ["cpu"] * 3
    for device in ("cuda", "cuda:1", "mps"):
        with pytest.raises(InputError, match=f"--device {device}"):
            choose_device("openvino", device)
    with pytest.raises(InputError, match="cuda:N"):
        choose_device("openvino", "gpu0")


def test_a_runtime_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OpenVINO", "onnxruntime", ""):
        with pytest.raises(InputError, match="one of auto, pytorch, openvino"):
            choose_device(name, "auto")
    monkeypatch.setattr(settings, "find_spec", lambda _: None)
    assert choose_device("pytorch", "auto") == "auto"
    assert choose_device("auto", "auto") == "auto"
    with pytest.raises(InputError, match="no package openvino") as raised:
        choose_device("openvino", "auto")
    assert "pip install 'lightskip[runtime]'" in raised.value.remedy
