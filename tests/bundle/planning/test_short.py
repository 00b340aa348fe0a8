"""What a short training does differently."""

from collections.abc import Callable
from typing import Any

from pipeline.bundle.planning.fingerprint import make_fingerprint
from pipeline.bundle.planning.short import mirror_if_long
from pipeline.bundle.planning.sides import choose_mirror_axes

Make = Callable[..., dict[str, Any]]


def test_a_short_training_on_scans_mirrors_nothing(make_report: Make) -> None:
    scans = make_fingerprint(make_report())
    chosen = choose_mirror_axes(scans)
    assert mirror_if_long(chosen, scans, 60) is chosen
    short = mirror_if_long(chosen, scans, 12.3)
    assert short.value == []
    assert "about 12 patches of each case" in short.reason


def test_pictures_are_mirrored_in_a_short_training_too(make_report: Make) -> None:
    pictures = make_fingerprint(make_report(shape=(64, 64), spacing=(1, 1)))
    chosen = choose_mirror_axes(pictures)
    assert mirror_if_long(chosen, pictures, 1) is chosen


def test_what_is_not_mirrored_at_all_keeps_its_reason(make_report: Make) -> None:
    labels = {"background": 0, "left_kidney": 1, "right_kidney": 2}
    pictures = make_fingerprint(make_report(labels=labels, shape=(64, 64), spacing=(1, 1)))
    chosen = choose_mirror_axes(pictures)
    assert mirror_if_long(chosen, pictures, 1) is chosen
    assert "have a side" in chosen.reason
