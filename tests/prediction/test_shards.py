"""Shards: their numbers, their scans, and that together they write what one process writes."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.prediction import with_network
from pipeline.prediction.bundle_files import read_bundle_files
from pipeline.prediction.command import Request, predict_files
from pipeline.prediction.outputs import Wanted
from pipeline.prediction.predictor import Predictor
from pipeline.prediction.shards import MAX_SHARDS, Shard

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SHAPE = (14, 12, 10)
NAMES = ("a", "b", "c", "d", "bad")
WORDS = ("--statistics", "--threads", "1", "--device", "cpu", "--runtime", "pytorch")
# Of one start, or counts of processes.
CHANGING = {
    "started",
    "seconds",
    "peak_memory_bytes",
    "memory_budget_bytes",
    "processes",
    "conversion_seconds",
    "scans",
}
Start = Callable[..., tuple[int, str, str]]


def save(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).normal(100, 40, SHAPE).astype(np.float32)
    nib.Nifti1Image(voxels, np.eye(4)).to_filename(file)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four scans, and a damaged one."""
    folder = tmp_path_factory.mktemp("scans") / "in"
    for seed, name in enumerate(NAMES[:-1]):
        save(folder / f"{name}.nii.gz", seed)
    (folder / "bad.nii.gz").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def alone(tiny_bundle: Path, scans: Path) -> Path:
    """The output folder of one process."""
    out = scans.with_name("alone")
    assert main(["predict", str(tiny_bundle), str(scans), "-o", str(out), *WORDS]) == 1
    return out


@pytest.fixture
def start(tiny_bundle: Path, scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Start:
    """Runs a shard into the folder out; gives its status, and what it printed and said."""

    def run(*words: str | Path, inputs: Path = scans, usual: tuple[str, ...] = WORDS) -> tuple[int, str, str]:
        capfd.readouterr()
        given = [] if "--merge" in words else [inputs]
        status = main(["predict", *map(str, (tiny_bundle, *given, "-o", tmp_path / "out", *usual, *words))])
        return (status, *capfd.readouterr())

    return run


def files(folder: Path) -> dict[str, bytes]:
    """All files of an output folder but reports of shards, records and locks that were left, by name."""
    found = [file for file in folder.rglob("*") if file.is_file() and ".predicted" not in file.parts]
    found = [file for file in found if not file.name.endswith(".lock")]
    return {
        str(file.relative_to(folder)): file.read_bytes() for file in found if not file.name.startswith("report.shard_")
    }


def report(folder: Path, name: str = "report.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text())
    return content


def same_as_alone(out: Path, alone: Path) -> None:
    """Compare the files of shards with those of one process: bytes, and the report but for times."""
    mine, one = files(out), files(alone)
    assert mine.keys() == one.keys()
    assert [name for name in one if mine[name] != one[name]] == ["report.json"]
    merged, whole = report(out), report(alone)
    assert merged.keys() == whole.keys()
    assert {key: merged[key] for key in merged.keys() - CHANGING} == {
        key: whole[key] for key in whole.keys() - CHANGING
    }
    for first, second in zip(merged["scans"], whole["scans"], strict=True):
        assert first.keys() == second.keys()
        for key in first.keys() - {"outputs", "seconds"}:
            assert first[key] == second[key]
        assert [Path(file).name for file in first["outputs"]] == [Path(file).name for file in second["outputs"]]


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    ["0/3", "4/3", "a/b", "1/0", "", "3", "1/2/3", "-1/3", " 1/3", "1.0/3", f"1/{MAX_SHARDS + 1}", "9" * 5000 + "/1"],
)
def test_a_wrong_shard_is_one_message(word: str, start: Start, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--shard: found"):
        Shard.parse(word)
    status, printed, said = start(f"--shard={word}")
    assert (status, printed) == (2, "")
    assert said.startswith("error: --shard: found ")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [3, None, (1, 3), True])
def test_a_wrong_shard_from_python(wrong: Any) -> None:
    with pytest.raises(InputError, match="--shard"):
        Shard.parse(wrong)
    with pytest.raises(InputError, match="--shard"):
        Shard(wrong, 3.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("word", "name"), [("3/20", "03_of_20"), ("1/1", "01_of_01"), ("7/1000", "0007_of_1000")])
def test_a_shard_names_its_report(word: str, name: str) -> None:
    shard = Shard.parse(word)
    assert str(shard) == word
    assert Shard.parse(shard) is shard
    assert shard.report_name == f"report.shard_{name}.json"


def test_a_shard_takes_every_nth_of_the_sorted_names() -> None:
    assert Shard(2, 3).share(["e", "b", "a", "d", "c"]) == {"b", "e"}
    assert Shard(3, 3).share(["a", "b"]) == set()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_every_scan_has_one_shard(count: int) -> None:
    names = list("gfedcba")
    shares = [Shard(number, count).share(names) for number in range(1, count + 1)]
    assert sorted(name for share in shares for name in share) == sorted(names)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


# --- together ---------------------------------------------------------------------------------------------------------


def test_shards_write_what_one_process_writes(start: Start, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Sorted: a, b, bad, c, d. In any order of starts.
    status, printed, _ = start("--shard", "2/3")
    assert status == 0
    assert printed.startswith("shard 2/3: 2 of 2 segmented in ")
    assert printed.endswith(f"; report: {out}/report.shard_02_of_03.json; unfinished shards: 1, 3\n")
    assert start("--shard", "3/3")[0] == 2
    assert sorted(files(out)) == [f"{name}_{what}" for name in "bd" for what in ("seg.nii.gz", "statistics.json")]
    status, printed, _ = start("--shard", "1/3")
    assert status == 0
    assert printed.endswith(f"; all 3 shards have finished: {out}/report.json\n")
    same_as_alone(out, alone)
    assert report(out)["processes"] == 3
    with (out / "statistics.csv").open() as stream:
        assert [row["scan"] for row in csv.DictReader(stream)] == [name for name in "abcd" for _ in range(2)]
    parts = [report(out, f"report.shard_0{number}_of_03.json") for number in (1, 2, 3)]
    assert [[scan["name"] for scan in part["scans"]] for part in parts] == [["a", "c"], ["b", "d"], ["bad"]]
    assert report(out)["seconds"] == pytest.approx(sum(part["seconds"] for part in parts), abs=1e-3)
    assert report(out)["started"] == parts[1]["started"]


def test_merging_again_gives_the_same_bytes(start: Start, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert [start("--shard", f"{number}/2")[0] for number in (1, 2)] == [1, 0]
    before = files(out)
    for name in ("report.json", "statistics.csv", "labels.ctbl", "labels.txt"):
        (out / name).unlink()
    status, printed, said = start("--merge", usual=())
    assert (status, said) == (1, "")
    assert printed.startswith("4 of 5 segmented, 1 failed in ")
    assert files(out) == before
    same_as_alone(out, alone)


def test_merging_needs_no_weights_of_the_bundles_own(start: Start, tiny_bundle: Path, tmp_path: Path) -> None:
    # As of a bundle that has only trainings.
    bundle = shutil.copytree(tiny_bundle, tmp_path / "trained")
    weights = (bundle / "models" / "model.pt").rename(tmp_path / "model.pt")
    start("--shard", "1/1", "--checkpoint", weights)
    assert main(["predict", str(bundle), "-o", str(tmp_path / "out"), "--merge"]) == 1


def test_merging_names_what_is_missing(start: Start, tmp_path: Path, tiny_flat_bundle: Path) -> None:
    status, _, said = start("--merge", usual=())
    assert status == 2
    assert "out: found no shards" in said
    start("--shard", "2/3")
    status, _, said = start("--merge", usual=())
    assert status == 2
    assert "found unfinished shards: 1, 3;" in said
    assert not (tmp_path / "out" / "report.json").exists()
    assert main(["predict", str(tiny_flat_bundle), "-o", str(tmp_path / "out"), "--merge"]) == 2


@pytest.mark.slow
def test_an_edited_report_is_one_message(start: Start, tmp_path: Path) -> None:
    start("--shard", "1/2")
    file = tmp_path / "out" / "report.shard_01_of_02.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in content.items() if key != "scans"}))
    status, _, said = start("--shard", "2/2")
    assert status == 2
    assert "reports of shards that were changed" in said
    assert "Traceback" not in said
    file.write_text("{")
    assert "unfinished shards: 1;" in start("--merge", usual=())[2]


@pytest.mark.slow
def test_more_shards_than_scans(start: Start, alone: Path, tmp_path: Path) -> None:
    assert [start("--shard", f"{number}/7")[0] for number in (1, 2, 3, 4, 5)] == [0, 0, 2, 0, 0]
    for number in (7, 6):
        status, printed, said = start("--shard", f"{number}/7")
        assert (status, said) == (0, "")
        assert printed.startswith(f"shard {number}/7: no scan, as there are only 5; 0 of 0 segmented in ")
    same_as_alone(tmp_path / "out", alone)


def test_a_machine_that_computes_in_another_way_is_refused(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first machine has bfloat16.
    real = with_network._chosen
    with monkeypatch.context() as patch:
        patch.setattr(with_network, "_chosen", lambda predictor: {**real(predictor), "precision": "bfloat16"})
        assert start("--shard", "1/2")[0] == 1
    status, printed, said = start("--shard", "2/2")
    assert (status, printed) == (2, "")
    assert "shards made with precision bfloat16 (now float32)" in said
    assert not (tmp_path / "out" / "b_seg.nii.gz").exists()


def test_the_first_shard_s_runtime_is_that_of_all(start: Start, tmp_path: Path) -> None:
    assert start("--shard", "1/2", usual=("--device", "cpu"))[0] == 1
    assert start("--shard", "2/2", usual=("--device", "cpu"))[0] == 0
    merged = report(tmp_path / "out")
    assert (merged["runtime"], merged["precision"]) == ("pytorch", "float32")


@pytest.mark.slow
def test_shards_that_run_at_the_same_time(tiny_bundle: Path, scans: Path, alone: Path, tmp_path: Path) -> None:
    words = ["-m", "pipeline", "predict", str(tiny_bundle), str(scans), "-o", str(tmp_path / "out"), *WORDS, "--shard"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    running = [
        subprocess.Popen(
            [sys.executable, *words, f"{number}/4"], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
        )
        for number in (1, 2, 3, 4)
    ]
    printed = [process.communicate(timeout=600)[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 2, 0]
    assert any("all 4 shards have finished" in text for text in printed)
    same_as_alone(tmp_path / "out", alone)


@pytest.mark.slow
def test_a_bundle_whose_channels_only_its_config_tells(
    tiny_bundle: Path, scans: Path, alone: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "tiny")
    config = bundle / "configs" / "inference.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "in_channels": "$1"}))
    assert read_bundle_files(bundle).channels is None
    words = ["predict", str(bundle), str(scans), "-o", str(tmp_path / "out"), *WORDS, "--shard"]
    assert [main([*words, f"{number}/6"]) for number in (6, 5, 4, 3, 2, 1)] == [0, 0, 0, 2, 0, 0]
    mine, one = files(tmp_path / "out"), files(alone)
    assert {name for name in one if mine[name] != one[name]} == {"report.json"}
    assert mine.keys() == one.keys()


# --- again ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_shard_goes_on(start: Start, tiny_bundle: Path, scans: Path, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Killed after its first scan, without a chance to write anything more.
    program = (
        "import os, sys\n"
        "from pipeline.cli import main\n"
        "from pipeline.prediction.records import Records\n"
        "finish = Records.finish\n"
        "def kill(self, *words):\n"
        "    finish(self, *words)\n"
        "    os.kill(os.getpid(), 9)\n"
        "Records.finish = kill\n"
        "main(sys.argv[1:])\n"
    )
    words = ["predict", str(tiny_bundle), str(scans), "-o", str(out), *WORDS, "--shard", "1/2"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", program, *words], check=False, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == -signal.SIGKILL
    assert sorted(files(out)) == ["a_seg.nii.gz", "a_statistics.json"]
    before = (out / "a_seg.nii.gz").stat().st_mtime_ns
    assert "unfinished shards: 1\n" in start("--shard", "2/2")[1]
    status, printed, _ = start("--shard", "1/2")
    assert status == 1
    assert printed.startswith("shard 1/2: 1 of 3 segmented, 1 finished earlier, 1 failed in ")
    assert (out / "a_seg.nii.gz").stat().st_mtime_ns == before
    assert {name: data for name, data in files(out).items() if name != "report.json"} == {
        name: data for name, data in files(alone).items() if name != "report.json"
    }
    assert [scan["status"] for scan in report(out)["scans"]] == ["skipped", "done", "failed", "done", "done"]


@pytest.mark.slow
def test_an_interrupted_shard_has_not_finished(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start("--shard", "1/2")

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "segment", interrupt)
        assert start("--shard", "2/2")[0] == 130
    assert report(tmp_path / "out", "report.shard_02_of_02.json")["interrupted"] is True
    assert "unfinished shards: 2;" in start("--merge", usual=())[2]
    assert start("--shard", "2/2")[0] == 0
    assert (tmp_path / "out" / "report.json").is_file()


def test_a_shard_that_starts_again_is_unfinished_until_it_ends(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start("--shard", "1/2")

    def fail(*_: Any, **__: Any) -> None:
        raise InputError("x", found="y", expected="z", remedy="w")

    monkeypatch.setattr(with_network, "segment_files", fail)
    assert start("--shard", "1/2", "--overwrite")[0] == 2
    assert not (tmp_path / "out" / "report.shard_01_of_02.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--shard", "1/3"), "2 shards (now 3)"),
        (("--shard", "2/2", "--fast"), "fast False (now True)"),
        (("--shard", "2/2", "--preview"), "preview False (now True)"),
        (("--shard", "2/2", "--runtime", "auto"), "runtime pytorch (now auto)"),
        (("--shard", "2/2", "--set", "inferer#overlap=0.25"), "settings {} (now "),
    ],
)
def test_another_division_is_refused(words: tuple[str, ...], found: str, start: Start, tmp_path: Path) -> None:
    start("--shard", "1/2")
    before = files(tmp_path / "out")
    status, printed, said = start(*words)
    assert (status, printed) == (2, "")
    assert found in said
    assert said.count("\n") == 1
    assert files(tmp_path / "out") == before
    # The first division is still the folder's.
    assert start("--shard", "2/2")[0] == 0


def test_other_scans_are_refused(start: Start, scans: Path, tmp_path: Path) -> None:
    start("--shard", "1/2")
    more = shutil.copytree(scans, tmp_path / "more")
    save(more / "0.nii.gz", 9)
    status, _, said = start("--shard", "2/2", inputs=more)
    assert status == 2
    assert "5 scans (now 6; new: 0)" in said


@pytest.mark.slow
def test_overwriting_replaces_the_division(start: Start, alone: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        start("--shard", f"{number}/2", "--fast")
    for number in (1, 2, 3):
        start("--shard", f"{number}/3", "--overwrite")
    same_as_alone(tmp_path / "out", alone)
    assert not list((tmp_path / "out").glob("report.shard_*_of_02.json"))


def test_a_division_that_has_done_nothing_binds_nobody(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise InputError("x", found="y", expected="z", remedy="w")

    # Such as one whose settings were mistyped.
    with monkeypatch.context() as patch:
        patch.setattr(with_network, "Predictor", fail)
        assert start("--shard", "1/2", "--set", "inferer#overlap=0.3")[0] == 2
    assert start("--shard", "1/2")[0] == 1


def test_a_process_without_a_shard_continues(start: Start, tmp_path: Path) -> None:
    start("--shard", "1/2")
    status, printed, _ = start()
    assert status == 1
    assert printed.startswith("2 of 5 segmented, 2 finished earlier, 1 failed in ")
    assert "shard" not in report(tmp_path / "out")


# --- refused words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--shard", "1/2", "--stdin"), "--shard: found --stdin as well"),
        (("--merge", "--stdin"), "--merge: found --stdin as well"),
        (("--merge", "--shard", "1/2", "-o", "out"), "--merge: found --shard as well"),
        (("scan.nii.gz", "--merge", "-o", "out"), "--merge: found the scan scan.nii.gz as well"),
        (("--merge",), "--merge: found no output"),
        (("--merge", "-o", "out", "--tta", "--format", "nrrd"), "--merge: found --format and --tta as well"),
        (("--merge", "-o", "out", "--no-postprocessing"), "--merge: found --no-postprocessing as well"),
    ],
)
def test_words_that_exclude_one_another(
    words: tuple[str, ...], found: str, tiny_bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(tiny_bundle), *words]) == 2
    assert found in capfd.readouterr().err


def test_shards_need_a_folder(
    tiny_bundle: Path, scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(tiny_bundle), str(scans / "a.nii.gz"), "-o", str(tmp_path / "x.nii.gz"), "--shard", "1/1"]
    assert main(words) == 2
    assert "the name of one file" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_shards_from_python(tiny_bundle: Path, scans: Path, alone: Path, tmp_path: Path) -> None:
    for number in (2, 1):
        request = Request(
            tiny_bundle,
            [scans],
            tmp_path / "out",
            Wanted(statistics=True),
            device="cpu",
            runtime="pytorch",
            threads=1,
            progress=False,
            shard=Shard(number, 2),
        )
        summary = predict_files(request)
    assert [result.name for result in summary.results] == ["a", "bad", "d"]
    same_as_alone(tmp_path / "out", alone)


@pytest.mark.slow
def test_a_finished_shard_needs_neither_torch_nor_monai(
    start: Start, tiny_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    for number in (1, 2):
        start("--shard", f"{number}/2")
    program = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "words = sys.argv[1:]\n"
        "main([*words[:2], *words[3:5], '--merge'])\n"
        "main([*words[:3], *words[3:], '--shard', '2/2'])\n"
        "main([*words[:3], *words[3:], '--shard', '1/9'])\n"
        "sys.exit(','.join({'torch', 'monai'} & sys.modules.keys()))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    words = ["predict", str(tiny_bundle), str(scans), "-o", str(tmp_path / "out"), *WORDS]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.splitlines()[0].startswith("4 of 5 segmented, 1 failed in ")
    assert "shard 2/2: 0 of 2 segmented, 2 finished earlier in " in done.stdout
    assert "2 shards (now 9)" in done.stderr
    assert done.stderr.splitlines()[-1] == ""
