import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.cli import main
from pipeline.data.errors import InputError

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
        "pipeline.data.make_datalist": {"make_datalist": {"training": []}, "write_json": None},
        "pipeline.bundle.render": {"write_rendered": [Path("a/configs/train.json")], "check_rendered": {}},
        "pipeline.report.figures": {"draw_curve": None, "draw_segmentation": None},
        "pipeline.bench": {"bench": {"parameters": 1}, "as_json": "{}", "as_table": "a table"},
        "pipeline.files": {"write_text": None},
    }
    for module, functions in stand_ins.items():
        stand_in = types.ModuleType(module)
        for name, result in functions.items():
            setattr(stand_in, name, recorder(name, result))
        monkeypatch.setitem(sys.modules, module, stand_in)
    return made


P = Path
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
                ("make_datalist", (P("Task04"),), {"folds": 3, "seed": 0}),
                ("write_json", ({"training": []}, P("list.json")), {}),
            ],
            "list.json\n",
        ),
        (
            "render a b",
            [("write_rendered", (P("a"),), {}), ("write_rendered", (P("b"),), {})],
            "a/configs/train.json\na/configs/train.json\n",
        ),
        ("render a --check", [("check_rendered", (P("a"),), {})], ""),
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
            "bench a",
            [
                ("bench", (P("a"),), BENCH | {"overrides": {}}),
                ("as_table", ({"parameters": 1},), {}),
            ],
            "a table\n",
        ),
        (
            "bench a --dataset_dir d --steps 5 --warmup 0 --cases 4 --device cpu -o b --set skip=concat patch=[8,8]",
            [
                (
                    "bench",
                    (P("a"),),
                    {
                        "dataset_dir": P("d"),
                        "steps": 5,
                        "warmup": 0,
                        "cases": 4,
                        "device": "cpu",
                        "overrides": {"skip": "concat", "patch": [8, 8]},
                    },
                ),
                ("as_json", ({"parameters": 1},), {}),
                ("write_text", (P("b"), "{}"), {}),
                ("as_table", ({"parameters": 1},), {}),
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


@pytest.mark.usefixtures("calls")
def test_check_shows_the_difference_and_exits_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_rendered(bundle: Path) -> dict[str, str]:
        return {"configs/train.json": f"-{bundle}\n+1\n"} if bundle == P("b") else {}

    monkeypatch.setattr(sys.modules["pipeline.bundle.render"], "check_rendered", check_rendered)
    assert main(["render", "a", "b", "c", "--check"]) == 1
    assert capsys.readouterr().out == "-b\n+1\n"


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
        timeout=60,
        cwd=Path(__file__).parents[1],
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: lightskip")


def test_drawing_without_matplotlib_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pipeline.report.figures", raising=False)
    monkeypatch.delitem(sys.modules, "pipeline.report", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["curve", "history.csv", "-o", "c.png"]) == 2
    assert "pip install 'lightskip[report]'" in capsys.readouterr().err
