"""A few damaged files through the real verbs; `python -m tests.faults.fuzz_configs` tries thousands."""

from pathlib import Path

import pytest

from .fuzz_configs import Workplace, _judge, fuzz

# Those that start no engine and time no network.
_QUICK = (
    "render --check plan",
    "check datalist",
    "datalist",
    "datalist --splits",
    "datalist nnU-Net",
    "study",
    "predict config",
    "predict metadata",
    "import config",
    "import metadata",
)


@pytest.mark.slow
def test_damaged_files_are_refused_with_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Workplace(tmp_path / "place")
    monkeypatch.chdir(place.folder)
    found = fuzz(place, tries=150, seed=20_000, targets=_QUICK, limit=600)
    assert found.faults == [], "\n".join(map(str, found.faults))
    assert sum(found.refused.values()) > 75


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (0, "", ""),
        (2, "error: a/plan.yaml, line 2: found x", ""),
        (139, "", "exit status 139"),
        (1, "Traceback (most recent call last):\n", "a traceback"),
        (2, "", "a refusal without a message"),
        (2, "error: something", "a message that does not name plan.yaml"),
        (2, "error: plan.yaml: \x1b[31m", "a message with control characters"),
    ],
)
def test_ends_are_judged(status: int, text: str, reason: str) -> None:
    assert _judge(status, text, ("plan.yaml", "bundle")) == reason
