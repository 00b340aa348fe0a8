"""The whole run: the untouched network has the Dice of `lightskip evaluate`, and all files appear, or none."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.bundle.launch import prepare
from pipeline.data.errors import InputError
from pipeline.probe import probe_bundle, run

from .conftest import make_bundle

LABELS = ["core", "rim"]


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def probed(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("probed") / "out"
    probe_bundle(bundle, out, probes=["off", "shuffle", "mean", "maps=1"])
    return out


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bundle", "flat_bundle", "picture_bundle"])
def test_the_untouched_network_has_the_dice_of_evaluate(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle = request.getfixturevalue(kind)
    # The probe needs PyTorch's layers; another runtime rounds otherwise.
    words = ["--output_dir", str(tmp_path / "evaluation"), "--runtime", "pytorch"]
    assert prepare("evaluate", bundle, words).run() == 0
    evaluated = {(row["case"], row["label"]): row["dice"] for row in read_rows(tmp_path / "evaluation" / "cases.csv")}
    done = probe_bundle(bundle, tmp_path / "out", probes=["off"])
    rows = [row for row in read_rows(tmp_path / "out" / "cases.csv") if row["probe"] == "untouched"]
    assert {(row["case"], row["label"]): row["dice"] for row in rows} == evaluated
    assert len(evaluated) == 3 * 2
    means = json.loads((tmp_path / "evaluation" / "summary.json").read_text())
    assert done.results is not None
    for label in LABELS:
        expected = means["labels"][label]["dice"]["mean"]
        assert done.results.summary["untouched"][label]["dice"] == pytest.approx(expected, abs=1e-6)
    assert done.results.summary["untouched"]["mean of labels"]["dice"] == pytest.approx(
        means["overall"]["dice"]["mean"], abs=1e-6
    )
    # A run of probes leaves nothing in the bundle.
    assert {path.name for path in bundle.iterdir()} <= {"configs", "data", "models", "plan.yaml", "runs"}


def test_every_case_has_a_row_per_probe_and_label(probed: Path) -> None:
    rows = read_rows(probed / "cases.csv")
    # Untouched, and four probes at each of two levels.
    assert len(rows) == 3 * len(LABELS) * (1 + 2 * 4)
    assert {(row["level"], row["skip"]) for row in rows} == {("", ""), ("0", "sat"), ("1", "concat")}
    assert [row["case"] for row in rows] == sorted(row["case"] for row in rows)


def test_the_summary_is_the_mean_of_its_rows(probed: Path) -> None:
    rows, summary = read_rows(probed / "cases.csv"), json.loads((probed / "summary.json").read_text())

    def dice(level: str, probe: str, label: str) -> np.ndarray:
        wanted = (level, probe, label)
        found = [row["dice"] for row in rows if (row["level"], row["probe"], row["label"]) == wanted]
        return np.array(found, dtype=float)

    for entry in summary["probes"]:
        changes = []
        for label in LABELS:
            before, after = dice("", "untouched", label), dice(str(entry["level"]), entry["probe"], label)
            changes.append(np.mean(after - before))
            found = entry["labels"][label]
            assert found["dice"] == pytest.approx(after.mean(), abs=2e-6)
            assert found["difference"] == pytest.approx(changes[-1], abs=2e-6)
            low, high = found["interval"]
            assert (after - before).min() - 2e-6 <= low <= found["difference"] <= high
            assert high <= (after - before).max() + 2e-6
            assert found["n"] == 3
        assert entry["labels"]["mean of labels"]["difference"] == pytest.approx(np.mean(changes), abs=2e-6)
    assert [(entry["level"], entry["probe"]) for entry in summary["probes"]] == [
        (level, probe) for level in (0, 1) for probe in ("off", "shuffle", "mean", "maps=1")
    ]
    # The probes do something to this network.
    assert any(entry["labels"]["mean of labels"]["difference"] != 0 for entry in summary["probes"])


def test_the_summary_says_what_each_level_passes(probed: Path) -> None:
    summary = json.loads((probed / "summary.json").read_text())
    first, second = summary["levels"]
    assert (first["skip"], first["merge"], first["kept_channels"], first["transferred_channels"]) == (
        "sat",
        "sum",
        3,
        4,
    )
    assert first["maps"]["of"] == "kept"
    assert sorted(first["maps"]["strongest_first"]) == [0, 1, 2]
    # Untrained selection weights are one.
    assert first["selection"]["weights"] == [1.0] * 4
    assert first["selection"]["selected"] == [0, 1, 2, 3]
    assert (second["skip"], second["kept_channels"], second["transferred_channels"]) == ("concat", 8, 8)
    assert second["maps"]["of"] == "transferred"
    donors = summary["donors"]
    assert sorted(donors) == sorted(donors.values())
    assert all(case != donor for case, donor in donors.items())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files(bundle: Path, probed: Path, tmp_path: Path) -> None:
    probe_bundle(bundle, tmp_path / "again", probes=["off", "shuffle", "mean", "maps=1"])
    for name in ("cases.csv", "summary.json"):
        assert (tmp_path / "again" / name).read_bytes() == (probed / name).read_bytes()


@pytest.mark.slow
def test_the_network_is_untouched_after_a_run(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[Any] = []
    opened = run.Session

    def remember(*args: Any) -> Any:
        sessions.append(opened(*args))
        return sessions[-1]

    monkeypatch.setattr(run, "Session", remember)
    probe_bundle(bundle, tmp_path / "out", probes=["off", "shuffle", "maps=2"], levels=[0], maps=True)
    network = sessions[0].network
    for module in network.modules():
        assert not {"transfer", "join", "keep", "gate"} & {k for k, v in module.__dict__.items() if callable(v)}
    stored = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert all(torch.equal(value, stored[name]) for name, value in network.state_dict().items())


@pytest.mark.slow
def test_a_probe_that_takes_nothing_away_is_left_out_with_a_note(bundle: Path, tmp_path: Path) -> None:
    done = probe_bundle(bundle, tmp_path / "out", probes=["off", "maps=3"])
    assert done.notes == ("level 0: maps=3 left out, as its skip has 3 maps",)
    assert done.results is not None
    assert done.results.planned == ((0, "off"), (1, "off"), (1, "maps=3"))


@pytest.mark.slow
def test_shuffle_of_a_single_case_is_left_out(bundle: Path, tmp_path: Path) -> None:
    done = probe_bundle(bundle, tmp_path / "out", probes=["off", "shuffle"], fold=1)
    assert done.notes == ("shuffle left out: it needs two cases, and the fold has one",)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    # One case has no interval.
    assert [entry["labels"]["core"]["interval"] for entry in summary["probes"]] == [None, None]
    with pytest.raises(InputError, match="needs two cases"):
        probe_bundle(bundle, tmp_path / "none", probes=["shuffle"], fold=1)


@pytest.mark.slow
def test_gates_in_the_network_are_not_those_of_skips(tmp_path: Path, bundle: Path) -> None:
    folder = make_bundle(tmp_path / "recalibrated", spatial_dims=2, skip="sse", recalibrate="cse")
    done = probe_bundle(folder, tmp_path / "out", probes=["off"], levels=[1])
    assert done.results is not None
    summary = done.results.summary
    assert summary["recalibration"].keys() == {
        *(f"recalibrate_encoder.{level}" for level in range(3)),
        *(f"recalibrate_decoder.{level}" for level in range(2)),
    }
    [level] = summary["levels"]
    assert level["level"] == 1
    assert level["gates"].keys() == {"excitation"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": [2]}, r"--levels 2: found a network with 2 skips; expected levels with a skip: 0, 1"),
        ({"probes": ["of"]}, r"--probes: found 'of'; expected off, shuffle.*did you mean off\?"),
        ({"probes": ["maps=3"], "levels": [0]}, r"level 0: maps=3 left out, as its skip has 3 maps; expected"),
        ({"probes": ["none"]}, r"--probes none: found no --maps"),
        ({"cases": ["case_0"]}, r"--cases: found no --maps"),
        ({"maps": True, "cases": ["case_0_imag"]}, r"--cases case_0_imag: found no such case.*mean case_0_image"),
        ({"checkpoint": "nowhere.pt"}, r"nowhere.pt: found no such file"),
        ({"fold": 7}, r"fold"),
        ({"settings": ["precission=float32"]}, r"unknown override: --precission; .* nearest are precision"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_writes_nothing(
    bundle: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        probe_bundle(bundle, tmp_path / "out", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_an_output_with_files_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="found a folder with files"):
        probe_bundle(bundle, tmp_path)
    with pytest.raises(InputError, match="found a file"):
        probe_bundle(bundle, tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_empty_output_folder_is_used(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    probe_bundle(bundle, tmp_path / "out", probes=["off"], levels=[0])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cases.csv",
        "differences.png",
        "summary.json",
    ]


@pytest.mark.slow
def test_an_interrupted_run_leaves_nothing(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "write_maps", interrupt)
    with pytest.raises(KeyboardInterrupt):
        probe_bundle(bundle, tmp_path / "out", probes=["off"], levels=[0], maps=True)
    assert list(tmp_path.iterdir()) == []
