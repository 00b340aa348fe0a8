import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trainings
from trainings import Training, is_done, name_run_folder, read_run, train_missing

HISTORY = """\
epoch,val_mean_dice,val_dice_shell,elapsed_seconds,samples_seen
1,,,60,10
2,0.7,0.7,120,20
3,0.6,0.5,180,30
"""
# Trains nothing: notes how it was started, and fails where it is told to.
PROGRAM = """
import pathlib, sys
folder, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
with (folder / "started.txt").open("a") as log:
    log.write(" ".join(words) + "\\n")
(folder / "last.pt").touch()
(folder / "history.csv").write_text("epoch\\n")
sys.exit((folder.parent / "fail").exists())
"""


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    (tmp_path / "toy" / "configs").mkdir(parents=True)
    (tmp_path / "toy" / "configs" / "train.json").write_text("{}")
    (tmp_path / "runs").mkdir()

    def command(self: Training, folder: Path, *, resume: bool) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(folder), self.arm, *(["resume"] if resume else [])]

    monkeypatch.setattr(Training, "command", command)
    return Training(tmp_path / "toy", tmp_path / "data", "concat", minutes=8.0)


def starts(folder: Path) -> list[str]:
    return (folder / "started.txt").read_text().splitlines()


def test_every_setting_has_a_folder_of_its_own(training: Training, tmp_path: Path) -> None:
    others = [
        training,
        replace(training, arm="sum", overrides=("--skip", "'sum'")),
        replace(training, overrides=("--learning_rate", "1e-3")),
        replace(training, arm="concat!"),  # the same for a file's name
        replace(training, fold=1),
        replace(training, seed=1),
        replace(training, minutes=8.0000001),
        replace(training, minutes=None),
        replace(training, epochs=10),
        replace(training, threads=2),
        replace(training, device="cpu"),
        replace(training, dataset_dir=tmp_path / "other"),
    ]
    folders = [name_run_folder(one, tmp_path / "runs") for one in others]
    (training.config).write_text('{"epochs": 1}')
    folders.append(name_run_folder(training, tmp_path / "runs"))
    assert len(set(folders)) == len(folders)
    assert name_run_folder(replace(training), tmp_path / "runs") == folders[-1]
    assert folders[0].name.startswith("toy_concat_fold0_seed0_8min_")


def test_two_arms_of_one_fold_do_not_displace_each_other(training: Training, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    other = replace(training, arm="sum")
    for wanted in ([training], [other], [training, other, training]):
        assert train_missing(wanted, runs) == []
    for one in (training, other):
        assert starts(name_run_folder(one, runs)) == [one.arm]
        settings = json.loads((name_run_folder(one, runs) / "settings.json").read_text())
        assert (settings["arm"], settings["fold"], settings["minutes"]) == (one.arm, 0, 8.0)


@pytest.mark.parametrize(("minutes", "expected"), [(8.0, ["concat"]), (None, ["concat", "concat resume"])])
def test_what_failed_is_done_again(
    training: Training, tmp_path: Path, minutes: float | None, expected: list[str]
) -> None:
    runs, other = tmp_path / "runs", replace(training, arm="sum")
    training = replace(training, minutes=minutes)
    assert train_missing([other], runs) == []
    (runs / "fail").touch()
    assert train_missing([training, other], runs) == [training]
    assert not is_done(name_run_folder(training, runs))
    (runs / "fail").unlink()
    assert train_missing([training, other], runs, jobs=2) == []
    # With a limit of time it begins anew, and nothing of the first start is left.
    assert starts(name_run_folder(training, runs)) == expected
    assert starts(name_run_folder(other, runs)) == ["sum"]


def test_the_command_is_that_of_monais_runner(tmp_path: Path) -> None:
    training = Training(Path("b"), Path("d"), "x", ("--skip", "'sum'"), fold=2, seed=3, minutes=1.5, device="cpu")
    words = training.command(tmp_path, resume=True)
    pairs = dict(zip(words[5::2], words[6::2], strict=True))
    assert words[1:5] == ["-m", "monai.bundle", "run", "training"]
    assert pairs == {
        "--config_file": str(Path("b/configs/train.json").resolve()),
        "--dataset_dir": str(Path("d").resolve()),
        "--ckpt_dir": str(tmp_path),
        "--check_data": "False",
        "--early_stop_patience": "0",
        "--fold": "2",
        "--seed": "3",
        "--epochs": "1000",
        "--minutes": "1.5",
        "--device": "cpu",
        "--resume": "True",
        "--skip": "'sum'",
    }


def test_a_run_is_read_from_its_history(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HISTORY)
    run = read_run(tmp_path)
    # The last epoch counts, not the best one.
    assert (run["dice"], run["best_dice"], run["epoch"], run["samples"], run["minutes"]) == (0.6, 0.7, 3, 30, 3.0)
    assert run["dice_by_label"] == {"shell": 0.5}
    assert [point["dice"] for point in run["curve"]] == [0.7, 0.6]


def test_jobs_have_cores_of_their_own(training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr(trainings, "list_cores", lambda: [3, 5, 7, 9])
    monkeypatch.setattr(trainings, "_train", lambda *words: given.append(tuple(words[2])) or True)
    train_missing([replace(training, threads=2, seed=seed) for seed in range(6)], tmp_path / "runs", jobs=2)
    assert len(given) == 6
    assert set(given) <= {(3, 5), (7, 9)}
