from dataclasses import replace

import pytest
import torch
from arms import Arm
from memory import stream
from monai.inferers import SlidingWindowInferer
from scans import count_windows, measure_scans, parse_size, scan_cost

from pipeline.data.errors import InputError


@pytest.mark.parametrize(
    ("size", "overlap"), [((24, 24, 24), 0.5), ((8, 20, 9), 0.5), ((6, 30, 16), 0.25), ((17, 8, 13), 0.0)]
)
def test_windows_are_as_many_as_monai_computes(size, overlap):
    computed = []

    def network(x):
        computed.append(len(x))
        return x

    SlidingWindowInferer(roi_size=(8, 8, 8), sw_batch_size=3, overlap=overlap)(torch.zeros(1, 1, *size), network)
    assert count_windows(size, (8, 8, 8), overlap) == sum(computed)


def test_sizes_of_the_command_line():
    assert parse_size("128", 3) == (128, 128, 128)
    assert parse_size("512x512x600", 3) == (512, 512, 600)
    for text in ("12x", "0", "1x2", "axb", "-3"):
        with pytest.raises(InputError, match="512x512x300"):
            parse_size(text, 3)


def test_a_scan_needs_at_least_its_logits_and_their_counts(task):
    task = replace(task, window=(32, 32, 32))
    found = next(stream(scan_cost, Arm("none", "none"), task, (64, 64, 64)))
    if found["peak"] is None:
        pytest.skip("this system does not tell its memory")
    # Three classes, a count and the input, float32.
    assert found["peak"] > 0.9 * 5 * 4 * 64**3


def test_a_second_start_measures_only_what_is_missing(task, tmp_path, monkeypatch):
    scanned = []

    def answers(function, arm, task, *size):
        if function is scan_cost:
            scanned.append((arm.name, *size))
            return iter([{"peak": 1, "seconds": {"median": 1.0, "low": 1.0, "high": 1.0, "count": 1}}])
        return iter([{"resident": 1}, {"seconds": 0.1}])

    monkeypatch.setattr("scans.stream", answers)
    results = {"starts": [{}]}
    arms = [Arm("concat", "concat"), Arm("sat", "sat")]
    measure_scans(results, arms, task, [(16, 16, 16)], tmp_path / "r.json")
    assert [name for name, _ in scanned] == ["concat", "sat", "MONAI DynUNet", "MONAI UNet"]
    scanned.clear()
    measure_scans(results, arms, task, [(16, 16, 16), (24, 16, 16), (32, 16, 16)], tmp_path / "r.json")
    assert {size for _, size in scanned} == {(24, 16, 16), (32, 16, 16)}
    # MONAI's networks at the first two sizes only.
    assert [name for name, size in scanned if size == (32, 16, 16)] == ["concat", "sat"]


def test_a_scan_that_does_not_fit_is_left_out(task, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("scans.available_bytes", lambda: 1000)
    monkeypatch.setattr("scans.stream", lambda *_: iter([{"resident": 1, "seconds": 0.1}]))
    results = {"starts": [{}]}
    measure_scans(results, [Arm("concat", "concat")], task, [(16, 16, 16)], tmp_path / "r.json")
    assert results["scans"] == {}
    assert "16x16x16 concat: left out" in capsys.readouterr().out
