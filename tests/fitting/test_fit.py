"""The order of the steps of `lightskip fit`, and what a second start does."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.fitting.options import choose_folds
from pipeline.fitting.state import lock_run

from .conftest import FakeVerbs, Start, after

ONE = ["datalist", "check", "plan", "train", "evaluate", "compare", "report"]
STATE = '{"options": {}, "steps": {"x": {"kind": %s, "command": "", "seconds": 1, "done": true}}}'
ALL = ["datalist", "check", "plan", *["train", "evaluate"] * 3, "compare", "report"]


@pytest.mark.parametrize(("folds", "kinds"), [("0", ONE), ("all", ALL)])
def test_the_order_of_the_steps(start: Start, folds: str, kinds: list[str]) -> None:
    done = start(folds=folds)
    assert done.status == 0
    assert done.kinds == kinds


def test_each_step_is_shown_as_its_command(start: Start) -> None:
    done = start(folds="1", hours=0.5, passed={"seed": 7, "memory": "4GB", "label_names": ["background", "a b"]})
    shown = [line for line in done.text.splitlines() if line.startswith("[")]
    assert shown == [
        "[1/?] lightskip datalist data -o run/datalist.json --label-names background 'a b' --seed 7",
        "[2/?] lightskip check run/datalist.json -o run/check",
        "[3/7] lightskip plan run/datalist.json --name my_data_2 -o run --folder bundle --check run/check --hours 0.5 "
        "--memory 4GB",
        "[4/7] lightskip train run/bundle --fold 1 --seed 7",
        "[5/7] lightskip evaluate run/bundle --training fold_1 --output_dir run/bundle/evaluation/folds/fold_1 "
        "--predictions_dir run/bundle/predictions",
        "[6/7] lightskip compare run/bundle fold_1=run/bundle/predictions -o run/bundle/evaluation/fold_1 --fold 1",
        "[7/7] lightskip report run/bundle -o run/report.html",
    ]
    assert "lightskip predict run/bundle SCANS -o OUT" in done.text
    assert "run/report.html" in done.text


def test_all_folds_share_the_hours_and_leave_an_ensemble(start: Start) -> None:
    done = start(folds="all", hours=1.5)
    plan = next(words for words in done.calls if words[0] == "plan")
    assert after("--hours", plan) == "0.5"
    compared = next(words for words in done.calls if words[0] == "compare")
    assert compared[1:3] == ["run/bundle", "cross_validation=run/bundle/predictions"]
    assert after("--part", compared) == "training"
    ensemble = json.loads(Path("run/bundle/models/ensemble.json").read_text())
    assert ensemble == {"trainings": ["fold_0", "fold_1", "fold_2"]}
    assert "training itself took 10.5 s of the 1.50 h of --hours 1.5" in done.text
    assert "mean Dice 0.500 (95 % interval 0.400 to 0.600), 6 cases" in done.text


def test_a_final_model_is_trained_behind_the_folds(start: Start) -> None:
    done = start(folds="all", hours=2, final=True)
    assert done.kinds == [*ALL[:-1], "train", "report"]
    assert after("--hours", done.calls[2]) == "0.5"
    assert done.calls[-2] == ["train", "run/bundle", "--fold", "all"]
    # It is taken by `lightskip predict`, and not the folds.
    assert json.loads(Path("run/bundle/models/ensemble.json").read_text()) == {"trainings": ["fold_all"]}
    assert "model:   run/bundle/runs/fold_all, trained on all 6 cases, not validated" in done.text
    assert start(folds="all", hours=2, final=True).calls == []


def test_only_a_final_model(start: Start) -> None:
    done = start(folds="", final=True)
    assert done.kinds == ["datalist", "check", "plan", "train", "report"]
    assert not Path("run/bundle/models/ensemble.json").exists()
    assert "result:" not in done.text


def test_a_final_model_is_measured_on_labelled_test_cases(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = FakeVerbs._datalist

    def with_test(self: FakeVerbs, words: list[str], stops: bool) -> None:
        listed(self, words, stops)
        file = Path(after("-o", words))
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, "test": [{"image": "t.nii", "label": "tl.nii"}]}))

    monkeypatch.setattr(FakeVerbs, "_datalist", with_test)
    done = start(folds="", final=True)
    assert done.calls[-2] == [
        *["evaluate", "run/bundle", "--training", "fold_all", "--part", "test"],
        *["--output_dir", "run/bundle/evaluation/fold_all_test"],
    ]


@pytest.mark.parametrize(
    ("folds", "fold", "expected"),
    [
        (None, None, {}),
        ("all", None, {"folds": "all"}),
        (None, "2", {"folds": "2"}),
        (None, "all", {"folds": "", "final": True}),
        ("all", "all", {"folds": "all", "final": True}),
    ],
)
def test_the_words_for_folds(folds: str | None, fold: str | None, expected: dict[str, object]) -> None:
    assert choose_folds(folds, fold) == expected


def test_a_fold_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="--folds all as well"):
        choose_folds("all", "1")


@pytest.mark.slow
@pytest.mark.parametrize("folds", ["0", "all"])
@pytest.mark.parametrize("way", ["stop_at", "fail_at"])
def test_the_same_command_continues_after_each_step(start: Start, tmp_path: Path, folds: str, way: str) -> None:
    whole = ONE if folds == "0" else ALL
    for number, stopped in enumerate(whole, 1):
        verbs = FakeVerbs()
        setattr(verbs, way, number)
        first = start(verbs, folds=folds)
        assert first.status == (130 if way == "stop_at" else 2)
        second = start(folds=folds)
        assert second.status == 0
        # The step that was interrupted, and all after it.
        assert second.kinds == whole[number - 1 :], f"stopped at {stopped}"
        third = start(folds=folds)
        assert (third.status, third.kinds) == (0, [])
        assert third.text.count("done: ") >= len(whole)
        shutil.rmtree(tmp_path / "run")


def test_an_interrupted_training_is_resumed(start: Start) -> None:
    verbs = FakeVerbs()
    verbs.stop_at = 4
    start(verbs)
    assert verbs.calls[-1] == ["train", "run/bundle", "--fold", "0"]
    assert start().calls[0] == ["train", "run/bundle", "--fold", "0", "--resume"]


def test_a_start_that_was_killed_right_behind_a_step(start: Start) -> None:
    start()
    state = json.loads(Path("run/fit.json").read_text())
    for name in ("plan", "train fold 0", "evaluate fold 0", "compare", "report"):
        state["steps"][name]["done"] = False
    Path("run/fit.json").write_text(json.dumps(state))
    # The plan and the finished training are taken as they are.
    assert start().kinds == ["evaluate", "compare", "report"]


def test_the_seconds_of_a_step_add_up_over_starts(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 5))  # every look at the clock is 5 seconds later
    monkeypatch.setattr("pipeline.fitting.fit.time.monotonic", lambda: next(now))
    verbs = FakeVerbs()
    verbs.stop_at = 4
    start(verbs)
    done = start()
    steps = json.loads(Path("run/fit.json").read_text())["steps"]
    assert {name: step["seconds"] for name, step in steps.items()} == {
        **dict.fromkeys(["datalist", "check", "plan", "evaluate fold 0", "compare", "report"], 5.0),
        "train fold 0": 10.0,
    }
    assert "all                 40.0 s" in done.text


def test_problems_stop_the_run_until_they_are_gone(start: Start) -> None:
    verbs = FakeVerbs()
    verbs.problems = 2
    stopped = start(verbs)
    assert (stopped.status, stopped.kinds) == (1, ["datalist", "check"])
    assert "stopped: 2 problems" in stopped.text
    assert "--fix DIR" in stopped.text
    # The dataset has changed, so that its list is made again.
    assert start().kinds == ONE


def test_an_edited_plan_is_kept(start: Start) -> None:
    start()
    Path("run/bundle/plan.yaml").write_text("name: edited\n")
    Path("run/report.html").unlink()
    assert start().kinds == ["report"]
    assert Path("run/bundle/plan.yaml").read_text() == "name: edited\n"


def test_a_deleted_training_is_made_again_with_what_follows(start: Start) -> None:
    start(folds="all")
    shutil.rmtree("run/bundle/runs/fold_1")
    assert start(folds="all").kinds == ["train", "evaluate", "compare", "report"]


@pytest.mark.parametrize(
    ("changed", "names", "delete"),
    [
        ({"hours": 2.0}, "--hours 2, and 1 in the first start", "delete run/bundle and"),
        ({"folds": "all"}, "--folds all, and 0 in the first start", "delete run/bundle and"),
        ({"passed": {"skip": "concat"}}, "--skip concat, and not given in", "delete run/bundle and"),
        ({"passed": {"tracking": "none"}}, "--tracking none, and not given in", "delete run/bundle/runs and"),
        ({"passed": {"label_names": ["a", "b"]}}, "--label-names a b, and not given", "delete run and"),
        ({"source": Path("other")}, "other, and ", "delete run and"),
    ],
)
def test_a_second_start_with_other_options_says_what_differs(
    start: Start, changed: dict[str, object], names: str, delete: str
) -> None:
    start()
    before = Path("run/fit.json").read_bytes()
    with pytest.raises(InputError) as raised:
        start(**changed)
    assert names in raised.value.found
    assert delete in raised.value.remedy
    assert Path("run/fit.json").read_bytes() == before


def test_other_options_after_what_they_change_was_deleted(start: Start) -> None:
    start()
    shutil.rmtree("run/bundle")
    assert start(hours=2.0).kinds == ["plan", "train", "evaluate", "compare", "report"]


def test_an_option_may_be_corrected_before_its_step(start: Start) -> None:
    verbs = FakeVerbs()
    verbs.fail_at = 3  # the plan
    start(verbs, passed={"skip": "concatt"})
    assert start(passed={"skip": "concat"}).kinds == ["plan", "train", "evaluate", "compare", "report"]


def test_a_fold_that_does_not_exist(start: Start) -> None:
    with pytest.raises(InputError, match=r"found 3; expected one of the folds in run/datalist\.json: 0, 1, 2; or all"):
        start(folds="3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hours": 0.0}, "--hours: found 0;"),
        ({"hours": float("nan")}, "--hours: found nan;"),
        ({"hours": 1e5}, "--hours: found 100000;"),
        ({"passed": {"memory": "3"}}, "--memory: found 3;"),
        ({"passed": {"memory": "10MB"}}, "--memory: found 0.0093 GiB; expected at least 0.46 GiB"),
        ({"folds": "some"}, "--folds: found some;"),
        ({"passed": {"tracking": "wandb"}}, "--tracking: found wandb;"),
        ({"source": None}, "found no dataset"),
    ],
)
def test_wrong_options_leave_nothing(start: Start, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        start(**options)
    assert not Path("run").exists()


def test_a_folder_of_something_else_is_left_alone(start: Start, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="a folder with other files"):
        start()
    assert [path.name for path in Path("run").iterdir()] == ["notes.txt"]


def test_a_file_in_place_of_the_folder(start: Start, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(InputError, match="run: found a file;"):
        start()
    with pytest.raises(InputError, match="a file among its parent folders"):
        start(output=Path("run/inside"))


@pytest.mark.parametrize("text", ["{", '{"options": {}, "steps": {"plan": 3}}', STATE % '"other"', STATE % "[]"])
def test_a_damaged_state(start: Start, text: str) -> None:
    start()
    Path("run/fit.json").write_text(text)
    with pytest.raises(InputError, match="cannot be read as the state of a run"):
        start()


@pytest.mark.parametrize(
    ("file", "delete", "kinds"),
    [
        ("bundle/runs/fold_0/history.csv", "bundle/runs/fold_0", ["train", "evaluate", "compare", "report"]),
        ("bundle/evaluation/fold_0/summary.json", "bundle/evaluation/fold_0/summary.json", ["compare", "report"]),
    ],
)
def test_a_damaged_result_names_what_to_delete(start: Start, file: str, delete: str, kinds: list[str]) -> None:
    start()
    Path("run", file).write_text("[")
    with pytest.raises(InputError, match=rf"damaged file.*delete run/{delete} and repeat"):
        start()
    target = Path("run", delete)
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert start().kinds == kinds


@pytest.mark.parametrize("keep", [True, False])
def test_a_check_made_again_asks_whether_to_keep_the_bundle(start: Start, keep: bool) -> None:
    start()
    Path("run/check/check.json").write_text("[")
    with pytest.raises(InputError, match=r"delete run/check/check\.json and repeat"):
        start()
    Path("run/check/check.json").unlink()
    with pytest.raises(InputError, match="repeat the command to keep the bundle; or delete run/bundle first"):
        start()
    if not keep:
        shutil.rmtree("run/bundle")
    assert start().kinds == ([] if keep else ONE[2:])


def test_two_runs_in_one_folder_are_refused(start: Start) -> None:
    pytest.importorskip("fcntl", reason="this system has no fcntl")
    with lock_run(Path("run")), pytest.raises(InputError, match="another lightskip fit at work in it"):
        start()
    assert start().status == 0
