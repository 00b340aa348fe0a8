"""LightSkip's own studies under docs/studies: what a report counts is there to be counted again."""

import json
from pathlib import Path

import pytest

STUDIES = Path(__file__).resolve().parents[2] / "docs" / "studies"


@pytest.mark.parametrize("name", sorted(file.parent.name for file in STUDIES.glob("*/study.json")))
def test_every_run_in_a_report_has_its_result(name):
    done = json.loads((STUDIES / name / "study.json").read_text(encoding="utf-8"))["runs"]["done"]
    assert done
    # The same training may have its result in another study: its digest is the end of its name.
    digests = [run.rpartition("_")[2] for run in done]
    assert [one for one in digests if not list(STUDIES.glob(f"*/runs/*_{one}.json"))] == []
