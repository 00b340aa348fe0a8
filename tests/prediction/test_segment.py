"""A scan for whose slab memory does not suffice is computed in strips."""

import pytest

from pipeline.data.errors import InputError
from pipeline.prediction import segment


def run(monkeypatch, error, enough):
    """Segment with memory for strips from `enough` on; return the numbers of strips that were tried, and the bar."""
    tried, bar = [], []

    def attempt(_bundle, _budget, _prepared, _probabilities, _uncertainty, _reserved, progress, least):
        tried.append(least)
        progress(0.5)
        if least < enough:
            raise error
        progress(0.5)
        return "prediction"

    monkeypatch.setattr(segment, "_segment", attempt)
    try:
        segment.segment_scan(None, None, None, probabilities=None, uncertainty=False, reserved=0, progress=bar.append)
    finally:
        run.tried = tried
    return tried, sum(bar)


@pytest.mark.parametrize(("enough", "tried"), [(1, [1]), (3, [1, 4]), (64, [1, 4, 16, 64])])
def test_it_goes_on_with_more_strips(monkeypatch, enough, tried):
    assert run(monkeypatch, MemoryError("no"), enough) == (tried, 1.0)


@pytest.mark.parametrize(
    ("error", "tried"),
    [
        (MemoryError("no"), [1, 4, 16, 64]),
        (RuntimeError("a bug"), [1]),
        (InputError("--memory", found="out of memory", expected="", remedy=""), [1]),
    ],
)
def test_other_errors_and_the_narrowest_strips_end_it(monkeypatch, error, tried):
    with pytest.raises(type(error)):
        run(monkeypatch, error, 99)
    assert run.tried == tried
