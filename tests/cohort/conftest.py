"""What tests of cohorts share: scans, what one process makes of them, and a quick stand-in for Snakemake."""

import io
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.cohort import run
from pipeline.workflow.events import Event
from pipeline.workflow.find_profile import Profile
from pipeline.workflow.run import Failure, Outcome
from pipeline.workflow.start import Start

from ..prediction.conftest import tiny_bundle

__all__ = ["tiny_bundle"]

SHAPE = (14, 12, 10)
NAMES = ("a", "b", "c", "d", "bad")
WORDS = ("--statistics", "--device", "cpu", "--runtime", "pytorch")


def save(file: Path, seed: int) -> None:
    voxels = np.random.default_rng(seed).normal(100, 40, SHAPE).astype(np.float32)
    nib.Nifti1Image(voxels, np.eye(4)).to_filename(file)


@pytest.fixture(scope="session")
def all_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four scans, and a damaged one. For reading only."""
    folder = tmp_path_factory.mktemp("scans") / "in"
    folder.mkdir()
    for seed, name in enumerate(NAMES[:-1]):
        save(folder / f"{name}.nii.gz", seed)
    (folder / "bad.nii.gz").write_bytes(b"")
    return folder


@pytest.fixture
def scans(all_scans: Path, tmp_path: Path) -> Path:
    """A copy of these scans."""
    return shutil.copytree(all_scans, tmp_path / "in")


@pytest.fixture(scope="session")
def alone(tiny_bundle: Path, all_scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one process for all scans."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert main(["predict", str(tiny_bundle), str(all_scans), "-o", str(out), "--threads", "1", *WORDS]) == 1
    return out


class InProcess:
    """Runs the jobs of a cohort one after the other in this process, as Snakemake would in others.

    Attributes:
        ran: the shards that ran, by the words of a start.
        killed: shards that end without a report.
    """

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.killed: set[str] = set()
        self.config: dict[str, Any] = {}

    def __call__(
        self, snakefile: Path, *, config: dict[str, Any], on_event: Callable[[Event], None], **more: Any
    ) -> Outcome:
        assert snakefile.is_file()
        self.config = {**config, **more}
        self.ran = [entry["shard"] for entry in config["shards"].values()]
        failed = []
        for number, (name, entry) in enumerate(config["shards"].items()):
            target, log = f"shards/{name}.json", f"logs/{name}.log"
            on_event(Event("started", target, log, 1, 0.0, number, len(self.ran)))
            if entry["shard"] in self.killed:
                failed.append(Failure(target, log))
                continue
            with io.StringIO() as text, redirect_stdout(text), redirect_stderr(text):
                main([*config["words"], "--shard", entry["shard"], "--threads", "1"])
            assert Path(entry["report"]).is_file()
        return Outcome((), tuple(failed), tuple(failure.target for failure in failed))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """The stand-in for Snakemake, which need not be installed."""
    stand_in = InProcess()
    monkeypatch.setattr(run, "run_workflow", stand_in)
    monkeypatch.setattr(run, "check_start", lambda jobs, *_, **__: Start(Profile(), jobs or 1))
    return stand_in
