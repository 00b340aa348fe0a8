from pathlib import Path
from typing import Any

import pytest

from pipeline.workflow.run import Outcome, run_workflow

SNAKEFILE = Path(__file__).with_name("Snakefile")


class Start:
    """Runs the small workflow of these tests in a folder, and keeps its events."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[tuple[str, str, int]] = []
        (folder / "counts").mkdir(parents=True)

    def __call__(self, commands: dict[str, str], **options: Any) -> Outcome:
        self.events.clear()
        return run_workflow(
            SNAKEFILE,
            folder=self.folder,
            targets=[f"runs/{name}.txt" for name in commands],
            config={"commands": commands},
            on_event=lambda event: self.events.append((event.kind, event.target, event.attempt)),
            **options,
        )

    def count(self, name: str) -> int:
        """Return how often a job was started."""
        file = self.folder / "counts" / name
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture
def start(tmp_path: Path) -> Start:
    pytest.importorskip("snakemake", reason="Snakemake is not installed: pip install 'lightskip[study]'")
    return Start(tmp_path / "a folder")
