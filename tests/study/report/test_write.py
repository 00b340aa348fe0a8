import csv
import json
import re

import pytest

from pipeline.data.errors import InputError
from pipeline.study.report import write_study_report
from pipeline.study.report.write import FILES

from .documents import check_markdown, check_page
from .make_runs import make_diverged, make_lost, make_run, make_study

EVERYTHING = ("curve", "cost", "levels", "weight_changes", "robustness", "probes", "membranes")
EVIL = "<script>alert(1)</script> | `x` {{ 7 * 7 }} \x1b[31m"


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Intervals of fewer draws, because these tests are about the files."""
    monkeypatch.setattr("pipeline.study.report.values.RESAMPLES", 500)


def write(folder, runs=(), *, study=None, text="name: sat\n", **options):
    """The report's files by name, after checking that they are whole."""
    found = write_study_report(
        folder,
        study=study or make_study(["concat", "sat", "none"]),
        study_text=text,
        study_sha256="ab" * 32,
        runs=runs,
        **options,
    )
    assert [path.name for path in found] == list(FILES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    texts = {path.name: path.read_text(encoding="utf-8") for path in found}
    check_page(texts["study.html"])
    check_markdown(texts["study.md"])
    json.loads(texts["study.json"], parse_constant=pytest.fail)
    for name in ("study.csv", "study_runs.csv"):
        rows = list(csv.reader(texts[name].splitlines()))
        assert len({len(row) for row in rows}) <= 1
        assert "nan" not in texts[name]
    return texts


def make_runs(skips=("concat", "sat"), seeds=2, *, cases=8, parts=("curve", "cost"), **options):
    return [make_run(skip, seed, cases=cases, parts=parts, **options) for skip in skips for seed in range(seeds)]


def test_everything_is_in_the_files(tmp_path):
    runs = make_runs(("concat", "sat", "none"), 2, cases=12, parts=EVERYTHING)
    reused = {runs[0]["id"]: "maps"}
    text = "name: sat\nskips: [concat, sat]  # <b>\n"
    texts = write(
        tmp_path / "new" / "out",
        [*runs, make_diverged("at", 0)],
        text=text,
        failed=[make_lost("at", 1)],
        missing=[make_lost("at", 2)],
        left_over=["old_run.json"],
        reused=reused,
    )
    for name in ("study.html", "study.md"):
        assert "Is one attention map as good as the whole feature map?" in texts[name]
        for words in (
            "the loss became infinite in epoch 3",
            "the process ended with 137",
            "old",
            "left over, does not fit the study file",
        ):
            assert words in texts[name]
        assert "6 of 9 trainings ended, 1 diverged, 1 failed, 1 not run" in texts[name]
        assert "ab" * 32 in texts[name]
        assert "2026-11-20 to 2026-11-21" in texts[name]
    for anchor in (
        "numbers",
        "comparisons",
        "pareto",
        "robustness",
        "membranes",
        "flow",
        "curves",
        "probes",
        "lost",
        "run",
    ):
        assert f'<section id="{anchor}"' in texts["study.html"]
    assert texts["study.html"].count('<img src="data:image/png;base64,') == 4
    assert text in texts["study.md"]
    assert "skips: [concat, sat]  # &lt;b&gt;" in texts["study.html"]
    found = json.loads(texts["study.json"])
    assert found["study_text"] == text
    assert {state: len(runs) for state, runs in found["runs"].items()} == {
        "done": 6,
        "diverged": 1,
        "failed": 1,
        "not run": 1,
    }
    assert found["failed"][0]["reason"] == "the process ended with 137"
    assert found["reused"] == reused
    assert [one["skip"] for one in found["verdicts"]] == ["sat", "none", "at", "sat", "none"]
    arms = list(csv.DictReader(texts["study.csv"].splitlines()))
    assert [(row["skip"], row["runs_done"], row["baseline"]) for row in arms] == [
        ("concat", "2", "true"),
        ("sat", "2", "false"),
        ("none", "2", "false"),
        ("at", "0", "false"),
    ]
    assert float(arms[1]["dice_difference"]) == pytest.approx(float(arms[1]["dice"]) - float(arms[0]["dice"]), abs=2e-6)
    rows = list(csv.DictReader(texts["study_runs.csv"].splitlines()))
    assert [row["state"] for row in rows] == ["done"] * 6 + ["diverged", "failed", "not run"]
    assert rows[0]["taken_from"] == "maps"


def test_the_same_input_gives_the_same_bytes_and_replaces_earlier_files(tmp_path):
    runs = make_runs(parts=EVERYTHING)
    first = write(tmp_path, runs)
    assert write(tmp_path, make_runs(("concat", "none"))) != first
    assert write(tmp_path, runs) == first


NOTHING = "There is nothing to compare with concat yet."
CASES = {
    "no runs at all": ([], NOTHING),
    "the baseline alone": (make_runs(("concat",)), NOTHING),
    "all runs diverged": (
        [make_diverged(skip, seed) for skip in ("concat", "sat") for seed in range(2)],
        "1 no result",
    ),
    "one seed": (make_runs(seeds=1), "1 cannot say"),
    "a single case": (make_runs(cases=1), "1 cannot say"),
    "other numbers of seeds": ([*make_runs(), make_run("sat", 2, cases=8, parts=())], "Of 1 comparison with concat"),
    "the baseline is missing": (make_runs(("sat", "none")), "2 no result"),
    "one label": (make_runs(labels=("membrane",)), "Of 1 comparison with concat"),
    "only cases": (make_runs(parts=()), "Of 1 comparison with concat"),
    "other cases": ([make_run("concat", 0, cases=8), make_run("sat", 0, cases=8, fold=1)], "1 no result"),
    "two folds": (make_runs() + make_runs(fold=1), "Of 1 comparison with concat"),
    "other budgets": (make_runs() + make_runs(epochs=9), "Of 2 comparisons with concat"),
}


@pytest.mark.parametrize("name", CASES)
def test_whatever_is_missing_there_is_a_right_page(tmp_path, name):
    runs, words = CASES[name]
    texts = write(tmp_path, runs)
    assert words in texts["study.html"]
    assert words in texts["study.md"]
    assert texts["study_runs.csv"].count("\n") == len(runs) + 1


def test_null_values_are_dashes(tmp_path):
    runs = make_runs(parts=EVERYTHING)
    for run in runs[2:]:
        run["cases"]["dice"] = [[None, None]] * 8
        run["cases"]["hd95"] = run["cases"]["nsd"] = None
        run["curve"] = [{**one, "dice": None} for one in run["curve"]]
        run["cost"] = dict.fromkeys(run["cost"])
        run["robustness"] |= {"dice": None, "area": None}
        run["probes"] = [{**one, "difference": None} for one in run["probes"]]
        run["membranes"] = dict.fromkeys(run["membranes"])
    texts = write(tmp_path, runs)
    assert "no Dice of this skip counts" in texts["study.md"]
    assert "| sat | 2 | - | - | - | - | - |" in texts["study.md"]


def test_a_diverged_run_that_has_numbers_does_not_count(tmp_path):
    runs = make_runs()
    runs[3] |= {"state": "diverged", "reason": "the loss became infinite"}
    runs[3]["cases"]["dice"] = [[0.0, 0.0]] * 8
    texts = write(tmp_path, runs)
    rows = list(csv.DictReader(texts["study.csv"].splitlines()))
    assert float(rows[1]["dice"]) > 0.8
    assert "only one seed of this skip" in texts["study.md"]
    assert "of 2 trainings 1 diverged" in texts["study.md"]


def test_lost_trainings_of_the_baseline_are_said_once(tmp_path):
    texts = write(tmp_path, make_runs(("concat", "sat", "none")), failed=[make_lost("concat", 2)])
    words = "concat, which the others are compared with: of 3 trainings 1 failed."
    assert texts["study.md"].count(words) == texts["study.html"].count(words) == 1


def test_names_are_never_markup(tmp_path):
    skips = ("concat", EVIL)
    study = {**make_study(skips), "name": EVIL, "question": EVIL}
    texts = write(tmp_path, make_runs(skips, parts=EVERYTHING), study=study, text=EVIL, left_over=[EVIL])
    assert "<script>" not in texts["study.html"]
    assert "\x1b" not in texts["study.html"] + texts["study.md"]
    assert "49" not in texts["study.html"].split("<pre", 1)[1]


def test_a_study_file_may_lack_everything(tmp_path):
    texts = write(tmp_path, make_runs(), study={"name": "bare"})
    assert "# Study bare" in texts["study.md"]


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("settings", {"bundle": "x"}, "no 'network'"),
        ("cases", {"names": ["a"], "labels": ["x"], "dice": [[0.9, 0.8]]}, "shape"),
        ("cases", {"names": ["a", "a"], "labels": ["x"], "dice": [[0.9], [0.8]]}, "same name"),
        ("cases", {"names": ["a"], "labels": ["x"], "dice": [["much"]]}, "could not convert"),
        ("robustness", {"cases": ["a"]}, "no 'perturbations'"),
        ("weight_changes", {"layers": ["a"], "epochs": [1, 2], "values": [[1.0]]}, "shape"),
        ("curve", [{"dice": 0.5}], "no 'epoch'"),
        ("cost", {"step_seconds": "fast"}, "step_seconds 'fast': expected a number"),
    ],
)
def test_a_broken_run_is_named_and_nothing_is_written(tmp_path, part, value, words):
    runs = make_runs()
    runs[1][part] = value
    with pytest.raises(InputError, match=words) as error:
        write(tmp_path / "out", runs)
    assert runs[1]["id"] in str(error.value)
    assert not (tmp_path / "out").exists()


def test_all_files_or_none(tmp_path, monkeypatch):
    first = write(tmp_path, make_runs())

    def fail(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.study.report.write.write_page_of_study", fail)
    with pytest.raises(InputError, match="No space left on device"):
        write(tmp_path, make_runs(("concat", "none")))
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == first
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"):
        write(tmp_path / "file", make_runs())


def test_lengths_of_pictures_have_their_own_unit_everywhere(tmp_path):
    runs = make_runs(("concat", "sat"), 2, cases=6, parts=())
    for run in runs:
        run["cases"]["unit"] = "px"
    texts = write(tmp_path, runs)
    assert all("hd95_px" in texts[name] for name in ("study.csv", "study_runs.csv", "study.json"))
    assert all("HD95, px" in texts[name] for name in ("study.html", "study.md"))
    assert "HD95 (px) against concat" in texts["study.md"]
    for name, text in texts.items():
        assert not re.search(r"HD95[^|<\n]*\bmm\b|hd95_mm", text), name
