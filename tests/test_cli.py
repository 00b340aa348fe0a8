import argparse
import errno
import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.cli import _parser, main
from pipeline.data.errors import InputError
from pipeline.process import start_text

CALLS = list[tuple[str, tuple[Any, ...], dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> CALLS:
    """Stands in for what the verbs call, and records the calls."""
    made: CALLS = []

    def recorder(name: str, result: Any) -> Any:
        def record(*args: Any, **kwargs: Any) -> Any:
            made.append((name, args, kwargs))
            return result

        return record

    stand_ins: dict[str, dict[str, Any]] = {
        "pipeline.data.sample": {"make_sample": Path("sample/dataset.json")},
        "pipeline.data.layouts": {"find": "found"},
        "pipeline.data.layouts.structure_sets": {"draw_structure_sets": "found"},
        "pipeline.data.make_datalist": {"make_datalist": {"training": []}, "write_json": None},
        "pipeline.data.datalist_output": {"check_output": None, "check_output_is_new": None},
        "pipeline.data.datalist_summary": {"format_summary": "a summary"},
        "pipeline.data.check_outside": {"describe_files_outside": ""},
        "pipeline.bundle.render": {
            "check_network": None,
            "write_rendered": [Path("a/configs/train.json")],
            "check_rendered": {},
        },
        "pipeline.report.curve": {"draw_curve": None},
        "pipeline.report.picture": {"draw_segmentation": None},
        "pipeline.bench": {"bench": {"parameters": 1}, "format_bench_json": "{}", "format_bench": "a table"},
        "pipeline.files": {"write_text": None},
    }
    # If it were first imported now, it would keep the stand-in of `pipeline.files` for the tests after this one.
    importlib.import_module("pipeline.bundle.at_hand.find")
    for module, functions in stand_ins.items():
        stand_in = types.ModuleType(module)
        for name, result in functions.items():
            setattr(stand_in, name, recorder(name, result))
        monkeypatch.setitem(sys.modules, module, stand_in)
    return made


P = Path
FIND = {
    "images": [],
    "labels": None,
    "layout": None,
    "dataset_dir": None,
    "suffixes": [],
    "label_suffix": None,
    "derivatives": None,
    "unlabelled": "refuse",
    "keep_folds": True,
    "splits": None,
    "unpack_to": P("list_files"),
}
DATALIST = {
    "relative_to": P("."),
    "folds": None,
    "seed": 0,
    "subject": None,
    "group": None,
    "stratify": [],
    "label_names": None,
    "channel_names": None,
    "regions": None,
    "region_order": None,
    "ignore": None,
    "checksums": True,
    "extra": {},
    "merge_into": P("list_labels"),
    "overlaps": "auto",
}
BENCH = {"dataset_dir": None, "steps": 20, "warmup": 3, "cases": 2, "device": None}


@pytest.mark.parametrize(
    ("words", "expected", "printed"),
    [
        (
            "sample demo",
            [("make_sample", (P("demo"),), {"cases": 24, "scans": 4, "seed": 0})],
            "sample/dataset.json\n",
        ),
        (
            "sample demo --cases 6 --scans 1 --seed 3",
            [("make_sample", (P("demo"),), {"cases": 6, "scans": 1, "seed": 3})],
            "sample/dataset.json\n",
        ),
        (
            "datalist Task04 -o list.json --folds 3",
            [
                ("check_output", (P("list.json"), P("Task04")), {}),
                ("find", (P("Task04"),), FIND | {"keep_folds": False}),
                ("check_output_is_new", (P("list.json"), "found"), {}),
                ("draw_structure_sets", ("found", P("list_structures")), {"structures": []}),
                ("make_datalist", ("found",), DATALIST | {"folds": 3}),
                ("write_json", ({"training": []}, P("list.json")), {}),
                ("format_summary", ({"training": []}, "found", P("list.json")), {}),
                ("describe_files_outside", (P("list.json"),), {}),
            ],
            "a summary\n",
        ),
        (
            "datalist --images a/i*.nii --labels a/s*.nii -o out/list.json --portable --name L --label-names bg liver",
            [
                ("check_output", (P("out/list.json"), None), {}),
                (
                    "find",
                    (None,),
                    FIND | {"images": ["a/i*.nii"], "labels": "a/s*.nii", "unpack_to": P("out/list_files")},
                ),
                ("check_output_is_new", (P("out/list.json"), "found"), {}),
                ("draw_structure_sets", ("found", P("out/list_structures")), {"structures": []}),
                (
                    "make_datalist",
                    ("found",),
                    DATALIST
                    | {"relative_to": None, "label_names": ["bg", "liver"], "extra": {"name": "L"}}
                    | {"merge_into": P("out/list_labels")},
                ),
                ("write_json", ({"training": []}, P("out/list.json")), {}),
                ("format_summary", ({"training": []}, "found", P("out/list.json")), {}),
            ],
            "a summary\n",
        ),
        (
            "render x/a x/b",
            [(name, (P(bundle),), {}) for name in ("check_network", "write_rendered") for bundle in ("x/a", "x/b")],
            "a/configs/train.json\na/configs/train.json\n",
        ),
        ("render x/a --check", [("check_network", (P("x/a"),), {}), ("check_rendered", (P("x/a"),), {})], ""),
        ("curve history.csv -o c.png", [("draw_curve", (P("history.csv"), P("c.png")), {})], "c.png\n"),
        (
            "picture s.nii -o p.png",
            [("draw_segmentation", (P("s.nii"), {}, P("p.png")), {"label_names": None})],
            "p.png\n",
        ),
        (
            "picture s.nii --labels truth=t.nii ours=o=1.nii --names head body -o p.png",
            [
                (
                    "draw_segmentation",
                    (P("s.nii"), {"truth": P("t.nii"), "ours": P("o=1.nii")}, P("p.png")),
                    {"label_names": {1: "head", 2: "body"}},
                )
            ],
            "p.png\n",
        ),
        (
            "bench x/a",
            [
                ("bench", (P("x/a"),), BENCH | {"overrides": {}}),
                ("format_bench", ({"parameters": 1},), {}),
            ],
            "a table\n",
        ),
        (
            "bench x/a --dataset_dir d --steps 5 --warmup 0 --cases 4 --device cpu -o b --set skip=concat patch=[8,8]",
            [
                (
                    "bench",
                    (P("x/a"),),
                    {
                        "dataset_dir": P("d"),
                        "steps": 5,
                        "warmup": 0,
                        "cases": 4,
                        "device": "cpu",
                        "overrides": {"skip": "concat", "patch": [8, 8]},
                    },
                ),
                ("format_bench_json", ({"parameters": 1},), {}),
                ("write_text", (P("b"), "{}"), {}),
                ("format_bench", ({"parameters": 1},), {}),
            ],
            "a table\n",
        ),
    ],
)
def test_verb_calls_what_does_the_work(
    calls: CALLS, capsys: pytest.CaptureFixture[str], words: str, expected: CALLS, printed: str
) -> None:
    assert main(words.split()) == 0
    assert calls == expected
    assert capsys.readouterr().out == printed


class StandInLaunch:
    note, command, warning, dry_run = "weights: m.pt\n", "python -m monai.bundle run", "stale", False

    def __init__(self, result: int | BaseException) -> None:
        self.result = result

    def run(self) -> int:
        sys.stdout.write("running\n")
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def outcome(self) -> str:
        return "next: evaluate\n"

    def resume_hint(self) -> str:
        return "continue with: resume\n"


BEFORE = "weights: m.pt\npython -m monai.bundle run\n"


@pytest.mark.parametrize(
    ("result", "dry_run", "expected"),
    [
        (0, True, (0, BEFORE, "")),
        (0, False, (0, f"{BEFORE}running\nnext: evaluate\n", "")),
        (3, False, (3, f"{BEFORE}running\n", "")),
        (KeyboardInterrupt(), False, (130, f"{BEFORE}running\n", "continue with: resume\ninterrupted\n")),
    ],
)
@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_train_and_evaluate_pass_words_and_exit_statuses_through(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    result: int | BaseException,
    dry_run: bool,
    expected: tuple[int, str, str],
) -> None:
    launch, given = StandInLaunch(result), []
    launch.dry_run = dry_run
    stand_in = types.ModuleType("pipeline.bundle.launch")
    stand_in.prepare = lambda *words: given.append(words) or launch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pipeline.bundle.launch", stand_in)
    status = main([verb, "x/b", "--epochs", "2", "--fold=-1", "--x", "-1", "--resume"])
    assert given == [(verb, P("x/b"), ["--epochs", "2", "--fold=-1", "--x", "-1", "--resume"])]
    out, err = capsys.readouterr()
    assert (status, out, err.removeprefix("warning: stale\n")) == expected


@pytest.mark.parametrize("verb", ["train", "evaluate"])
@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_may_follow_the_bundle(capsys: pytest.CaptureFixture[str], verb: str, word: str) -> None:
    assert main([verb, "nowhere", word]) == 0
    assert capsys.readouterr().out.startswith(f"usage: lightskip {verb} BUNDLE")


@pytest.mark.usefixtures("calls")
def test_check_shows_the_difference_and_exits_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_rendered(bundle: Path) -> dict[str, str]:
        return {"configs/train.json": f"-{bundle}\n+1\n"} if bundle == P("x/b") else {}

    monkeypatch.setattr(sys.modules["pipeline.bundle.render"], "check_rendered", check_rendered)
    assert main(["render", "x/a", "x/b", "x/c", "--check"]) == 1
    assert capsys.readouterr().out == "-x/b\n+1\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            InputError("list.json", found="x", expected="y", remedy="do z"),
            (2, "error: list.json: found x; expected y. What to do: do z.\n"),
        ),
        (KeyboardInterrupt(), (130, "interrupted\n")),
    ],
)
@pytest.mark.usefixtures("calls")
def test_mistakes_and_interrupts_end_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    expected: tuple[int, str],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(sys.modules["pipeline.data.sample"], "make_sample", fail)
    assert (main(["sample", "demo"]), capsys.readouterr()) == (expected[0], ("", expected[1]))


@pytest.mark.usefixtures("calls")
def test_a_verb_that_another_one_runs_leaves_words_about_interrupts_to_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["pipeline.data.sample"], "make_sample", fail)
    assert (main(["sample", "demo"], is_inner=True), capsys.readouterr()) == (130, ("", ""))
    assert "main(is_inner=True)" in start_text(is_inner=True)


@pytest.mark.usefixtures("calls")
def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(sys.modules["pipeline.data.sample"], "make_sample", fail)
    with pytest.raises(ValueError, match="a bug"):
        main(["sample", "demo"])


def test_without_a_verb_prints_help_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    help_text = capsys.readouterr().err
    assert all(verb in help_text for verb in ("sample", "datalist", "render", "curve", "picture"))


@pytest.mark.parametrize("words", ["render", "datalist x", "picture s.nii --labels truth -o p.png", "trian", "sample"])
def test_misuse_exits_with_2(capsys: pytest.CaptureFixture[str], words: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main(words.split())
    assert raised.value.code == 2
    assert "usage: lightskip" in capsys.readouterr().err


VERBS = next(one.choices for one in _parser()._actions if isinstance(one, argparse._SubParsersAction))


@pytest.mark.parametrize("verb", VERBS)
def test_empty_names_of_files_and_folders_are_refused(verb: str) -> None:
    """They would be the working directory: a variable of a script that is not set."""
    named = ("-o", "--output", "--dataset_dir", "--checkpoint", "--check", "--fix", "--splits")
    for action in VERBS[verb]._actions:
        if action.nargs == 0:
            continue
        if set(named) & set(action.option_strings) or action.metavar in ("FOLDER", "DATALIST", "BUNDLE"):
            assert callable(action.type), action.dest
            for text in ("", " "):
                with pytest.raises(argparse.ArgumentTypeError):
                    action.type(text)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"lightskip {pipeline.__version__}\n"


def test_help_does_not_wait_for_heavy_imports() -> None:
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    heavy = {'torch', 'monai', 'numpy', 'pydantic', 'yaml', 'matplotlib'} & set(sys.modules)\n"
        "    sys.exit(', '.join(heavy) or None)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=Path(__file__).parents[1],
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: lightskip")


def test_drawing_without_matplotlib_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pipeline.report.curve", raising=False)
    monkeypatch.delitem(sys.modules, "pipeline.report", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["curve", "history.csv", "-o", "c.png"]) == 2
    assert "pip install 'lightskip[report]'" in capsys.readouterr().err


def test_what_cannot_be_written_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("a file")
    assert main(["sample", str(tmp_path / "taken" / "sample")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {tmp_path / 'taken'}")
    assert "What to do: name another" in told
    assert told.count("\n") == 1


def test_a_full_disk_is_one_message_and_the_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pipeline.data import sample_files  # noqa: PLC0415

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sample_files, "write_nifti", fail)
    monkeypatch.setattr("pipeline.data.sample.write_nifti", fail)
    assert main(["sample", str(tmp_path / "sample")]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {tmp_path / 'sample'}: found no space left on the disk at ")
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_work_is_done_for_a_reader_that_has_gone(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = ["-m", "pipeline", "sample", str(tmp_path / "sample"), "--cases", "4", "--scans", "0"]
    with os.fdopen(writing, "wb") as pipe:
        run = subprocess.run(
            [sys.executable, *words], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False, timeout=300
        )
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "sample" / "dataset.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_told_after_the_work(tmp_path: Path) -> None:
    words = ["-m", "pipeline", "sample", str(tmp_path / "sample"), "--cases", "4", "--scans", "0"]
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=300
        )
    assert run.returncode == 1
    assert run.stderr.startswith("error: standard output: found no space left on device")
    assert "The work is done" in run.stderr
    assert run.stderr.count("\n") == 1
    assert (tmp_path / "sample" / "dataset.json").is_file()


@pytest.fixture
def flawed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The datalist of two cases, one of whose label maps is stored as floating point."""
    import json  # noqa: PLC0415

    import nibabel  # noqa: PLC0415
    import numpy  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    label = numpy.zeros((8, 8, 8), numpy.uint8)
    label[2:5, 2:5, 2:5] = 1
    (tmp_path / "data").mkdir()
    for name, voxels in (
        ("i0", numpy.random.default_rng(0).random((8, 8, 8))),
        ("i1", numpy.random.default_rng(1).random((8, 8, 8))),
        ("l0", label),
        ("l1", label.astype(numpy.float32)),
    ):
        nibabel.Nifti1Image(voxels.astype(numpy.float32) if name[0] == "i" else voxels, numpy.eye(4)).to_filename(
            tmp_path / "data" / f"{name}.nii"
        )
    items = [{"image": f"i{number}.nii", "label": f"l{number}.nii", "fold": number} for number in (0, 1)]
    labels = {"0": "background", "1": "ball"}
    (tmp_path / "data" / "list.json").write_text(json.dumps({"labels": labels, "training": items}))
    return Path("data/list.json")


def test_check_exits_with_0_for_notes_and_1_for_warnings_and_problems(
    flawed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(flawed)]) == 0
    assert capsys.readouterr().out.endswith("report: list_check/check.html, list_check/check.json\n")
    flawed.write_text(flawed.read_text().replace('"ball"', '"ball", "2": "ghost"'))
    assert main(["check", str(flawed)]) == 1
    (flawed.parent / "i0.nii").unlink()
    assert main(["check", str(flawed)]) == 1


def test_check_says_what_was_repaired_and_what_is_next(flawed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(flawed), "--fix", "my fix"]) == 0
    assert capsys.readouterr().out.partition("check.json\n\n")[2] == (
        "repaired: 1 file, in my fix\n"
        "  l1.nii: stored as integers\n"
        "new datalist: my fix/datalist.json; it names all other files in their old folders\n"
        "next: lightskip check 'my fix/datalist.json'\n"
    )
    assert main(["check", "my fix/datalist.json", "--fix", "again"]) == 0
    assert "repaired: nothing, and nothing was written" in capsys.readouterr().out
    assert not Path("again").exists()


def test_check_prints_json_alone_where_json_is_asked_for(flawed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json  # noqa: PLC0415

    assert main(["check", str(flawed), "--json", "--fix", "fixed"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(Path("list_check/check.json").read_text())
    assert "next: lightskip check fixed/datalist.json" in err


@pytest.mark.parametrize(
    "words",
    [
        "nowhere.json",
        "data",
        "data/i0.nii",
        "data/list.json --dataset_dir nowhere",
        "data/list.json --dataset_dir data/list.json",
        "data/list.json --workers 0",
        "data/list.json --workers -2",
        "data/list.json --memory 3",
        "data/list.json -o data/list.json",
        "data/list.json -o data/list.json/deeper",
        "data/list.json -o /proc/nowhere",
        "data/list.json --fix data",
        "data/list.json --fix data/list.json",
        "data/list.json --fix /proc/nowhere",
    ],
)
def test_a_check_that_cannot_run_exits_with_2_and_writes_nothing_else(
    flawed: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    before = {path: path.read_bytes() for path in Path("data").iterdir()}
    assert main(["check", *words.split()]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "What to do: " in err
    assert {path: path.read_bytes() for path in Path("data").iterdir()} == before
    # Where the repair alone fails, the report of the check is there, whole.
    assert [path.name for path in Path().iterdir()] in (["data"], ["data", "list_check"], ["list_check", "data"])
    assert not list(Path().rglob(".*"))


@pytest.mark.parametrize("blocked", ["check.html", "check.json", "cases.jsonl"])
def test_a_report_that_cannot_be_written_exits_with_2(
    flawed: Path, capsys: pytest.CaptureFixture[str], blocked: str
) -> None:
    (Path("list_check") / blocked / "in the way").mkdir(parents=True)
    assert main(["check", str(flawed)]) == 2
    assert blocked in capsys.readouterr().err or blocked == "cases.jsonl"
    assert not list(Path().rglob(".*"))


def test_a_datalist_without_folds_is_told_where_it_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.data.sample import make_sample  # noqa: PLC0415

    datalist = make_sample(tmp_path / "data", cases=3, scans=0, folds=3)
    assert main(["check", str(datalist), "-o", str(tmp_path / "with")]) == 0
    assert "no folds" not in capsys.readouterr().out
    content = json.loads(datalist.read_text())
    for item in content["training"][1:]:
        del item["fold"]
    datalist.write_text(json.dumps(content))
    assert main(["check", str(datalist), "-o", str(tmp_path / "without")]) == 0
    assert "no folds: 2 training cases have none, but `lightskip plan` needs folds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "a.json", "--name", "a", "--from", "b"], "lightskip train BUNDLE --from …, or lightskip fit"),
        (
            ["plan", "a.json", "--name", "a", "--hour_s", "1"],
            "did you mean --hours? lightskip plan --help",
        ),
        (["plan", "a.json", "--name", "a", "--zzz", "1"], "--zzz 1. lightskip plan --help lists the options"),
    ],
)
def test_an_option_of_another_verb_says_where_it_belongs(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_texts_that_may_name_a_patient_are_not_kept_in_anonymous_files(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", "hippocampus_mri", "a.nii", "-o", "out", "--anonymous", "--keep-header-text"]
    assert main(words) == 2
    assert "--anonymous: found --keep-header-text as well" in capsys.readouterr().err
