from pathlib import Path

import pytest

from pipeline.workflow.events import Event
from pipeline.workflow.progress import Progress


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Event("started", "b", "logs/b.log", 1, 0.0, 1, 4), "[1/4] started: shard b"),
        (Event("started", "b", "logs/b.log", 2, 0.0, 1, 4), "[1/4] started: shard b again"),
        (Event("done", "b", "logs/b.log", 1, 12.34, 2, 4), "[2/4] done: shard b, 12.3 s"),
        (Event("done", "b", "", 1, 7200, 2, 4), "[2/4] done: shard b, 2.00 h"),
        (
            Event("failed", "b", "logs/b.log", 1, 1, 1, 4),
            "[1/4] failed: shard b; it is tried again; log: /out/logs/b.log",
        ),
        (Event("failed", "b", "", 2, 1, 1, 4), "[1/4] failed: shard b"),
    ],
)
def test_lines(event: Event, line: str) -> None:
    said: list[str] = []
    Progress(said.append, folder=Path("/out"), attempts=2, name=lambda target: f"shard {target}")(event)
    assert said == [line]
