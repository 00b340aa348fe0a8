"""The meaning of every kind of finding is in the code, and the document has what the code says."""

from pathlib import Path

from pipeline.data.finding_words import MEANINGS, SEVERITY_MEANINGS, describe_kinds
from pipeline.data.findings import SEVERITIES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "own_dataset.md"


def test_every_kind_has_a_meaning() -> None:
    assert set(MEANINGS) == set(SEVERITIES)
    assert set(SEVERITY_MEANINGS) == set(SEVERITIES.values())
    assert all(meaning and "|" not in meaning and not meaning.endswith(".") for meaning in MEANINGS.values())


def test_the_document_has_the_tables_of_the_code() -> None:
    """If not: `python docs/kinds.py`."""
    assert "\n".join(describe_kinds()) in DOCUMENT.read_text(encoding="utf-8")
