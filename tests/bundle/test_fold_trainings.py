"""Train several folds with one command: which run, what a second start does, what is refused. No training runs."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.bundle.fold_trainings import names_folds, train_folds
from pipeline.bundle.render import write_rendered
from pipeline.data.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]
Train = Callable[..., tuple[int, str, list[list[str]]]]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rendered bundle, ``shapes``, with a dataset of three empty cases, each in a fold of its own."""
    folder = tmp_path / "shapes"
    (folder / "data").mkdir(parents=True)
    shutil.copy(REPOSITORY / "bundles" / "synthetic_shapes" / "plan.yaml", folder)
    write_rendered(folder)
    items = [{"image": f"i{fold}.nii", "label": f"l{fold}.nii", "fold": fold} for fold in range(3)]
    for item in items:
        for key in ("image", "label"):
            (folder / "data" / str(item[key])).touch()
    (folder / "data" / "dataset.json").write_text(json.dumps({"training": items}))
    monkeypatch.chdir(tmp_path)
    return Path("shapes")


@pytest.fixture
def train(bundle: Path) -> Train:
    """Function that trains folds with verbs that only leave files; ``broken`` fails, ``stopped`` is interrupted."""

    def run(text: str, *, broken: int = -1, stopped: int = -1) -> tuple[int, str, list[list[str]]]:
        lines: list[str] = []
        calls: list[list[str]] = []

        def verb(words: Sequence[str]) -> int:
            calls.append(list(words))
            fold = int(words[list(words).index("--fold") + 1])
            if fold == broken:
                return 2
            folder = bundle / "runs" / f"fold_{fold}"
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("model.pt", "last.pt"):
                (folder / name).touch()
            known = {"fold": fold, "epochs": 50, "planned": 50, "best_dice": 0.5, "finished": fold != stopped}
            known["length"] = {"epochs": 50, "minutes": None}
            (folder / "training.json").write_text(json.dumps(known))
            if fold == stopped:
                raise KeyboardInterrupt
            return 0

        status = train_folds(bundle, text.split(), say=lines.append, runner=verb)
        return status, "\n".join(lines), calls

    return run


def folds_of(calls: list[list[str]]) -> list[str]:
    return [words[words.index("--fold") + 1] for words in calls]


def test_all_folds_one_after_the_other(train: Train) -> None:
    status, text, calls = train("--folds all --seed 3")
    assert status == 0
    assert calls == [["train", "shapes", "--fold", str(fold), "--seed", "3"] for fold in range(3)]
    assert "[2/3] lightskip train shapes --fold 1 --seed 3" in text
    assert "fold_2: fold 2, best Dice 0.5000, 50 of 50 epochs" in text
    assert "lightskip predict shapes SCANS -o OUT --folds 0 1 2" in text
    assert "lightskip evaluate shapes --training fold_1 --predictions_dir shapes/predictions" in text
    assert "lightskip compare shapes cross_validation=shapes/predictions --part training" in text


def test_some_folds_and_no_comparison_of_all_cases(train: Train) -> None:
    _, text, calls = train("--folds=2,0")
    assert folds_of(calls) == ["2", "0"]
    assert "cross_validation" not in text


def test_a_second_start_skips_what_is_finished(train: Train) -> None:
    train("--folds 0")
    _, text, calls = train("--folds all")
    assert folds_of(calls) == ["1", "2"]
    assert "[1/3] finished: fold 0, best Dice 0.5000" in text


def test_a_fold_that_fails_does_not_end_the_others_and_is_listed(train: Train) -> None:
    status, text, calls = train("--folds all", broken=1)
    assert (status, folds_of(calls)) == (2, ["0", "1", "2"])
    assert "fold_1: failed with exit status 2" in text
    assert "fold_2: fold 2, best Dice" in text
    assert "lightskip predict" not in text
    assert folds_of(train("--folds all")[2]) == ["1"]


def test_an_interrupted_fold_is_resumed(train: Train) -> None:
    with pytest.raises(KeyboardInterrupt):
        train("--folds all", stopped=1)
    _, _, calls = train("--folds all --resume")
    assert calls == [["train", "shapes", "--fold", "1", "--resume"], ["train", "shapes", "--fold", "2"]]


def test_a_dry_run_shows_each_command(train: Train) -> None:
    status, text, calls = train("--folds all --dry-run")
    assert (status, calls, len(text.splitlines())) == (0, [], 3)
    assert text.splitlines()[2].endswith("--config_file shapes/configs/train.json --fold 2")


def test_finished_folds_are_lengthened_by_name(train: Train) -> None:
    train("--folds 0")
    with pytest.raises(InputError, match="a training of 50 epochs"):
        train("--folds 0 --epochs 60")
    _, _, calls = train("--folds 0 --epochs 60 --longer restart")
    assert calls == [["train", "shapes", "--fold", "0", "--epochs", "60", "--longer", "restart", "--resume"]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--folds all --fold 1", "--fold 1 as well"),
        ("--folds all --ckpt_dir run", "--ckpt_dir run as well"),
        ("--folds 0,0", "0 twice"),
        ("--folds 0,7", "7, which is no fold of"),
        ("--folds 0,", "nothing, which is no fold of"),
        ("--folds", "True, which is no fold of"),
        ("--folds all --epoch 3", "unknown override: --epoch"),
        ("--folds all --epochs 0", "epochs 0"),
    ],
)
def test_mistakes_are_found_before_the_first_training(train: Train, words: str, found: str) -> None:
    with pytest.raises(InputError) as raised:
        train(words)
    assert found in str(raised.value)
    assert not Path("shapes/runs").exists()


def test_other_settings_than_a_fold_was_begun_with_are_refused(train: Train) -> None:
    train("--folds 0 --seed 3")
    with pytest.raises(InputError, match="found a training with --seed 3; expected the settings of this command: none"):
        train("--folds all")
    # A fold that is not named may have others.
    assert folds_of(train("--folds 1,2")[2]) == ["1", "2"]


def test_a_datalist_without_folds(train: Train) -> None:
    file = Path("shapes/data/dataset.json")
    content = json.loads(file.read_text())
    del content["training"][1]["fold"]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match='cases without a "fold" number'):
        train("--folds all")


def test_the_words_that_name_folds() -> None:
    assert names_folds(["--folds", "all"])
    assert names_folds(["--folds=0"])
    assert not names_folds(["--fold", "0"])
