"""Summary and tables of hand-made numbers."""

import math
from typing import Any

import pytest
import torch

from pipeline.networks import VNet
from pipeline.probe.gates import GateMeans
from pipeline.probe.levels import find_levels
from pipeline.probe.observe import Observation
from pipeline.probe.results import Measured, Results


def make_results(**changes: Any) -> Results:
    network = VNet(2, 1, 3, (2, 4, 4), kernel_size=3, skip=["sat", "concat"])
    levels = find_levels(network, "model.pt")
    observed = {
        0: Observation(
            kept_maps=True, strength=torch.tensor([0.5]), kept_channels=1, transferred_channels=1, windows=1
        ),
        1: Observation(strength=torch.tensor([0.1, 0.4, 0.2, 0.3]), kept_channels=4, transferred_channels=4, windows=1),
    }
    gates = GateMeans()
    gates(levels[1].name + ".gate", torch.tensor([[0.25, 0.75]]))
    # b lacks the rim, and the probed network finds one there.
    measured = [
        Measured("b", None, "", {"core": 0.8, "rim": math.nan}),
        Measured("a", None, "", {"core": 0.6, "rim": 0.5}),
        Measured("a", 1, "off", {"core": 0.5, "rim": 0.25}),
        Measured("b", 1, "off", {"core": 0.4, "rim": 0.0}),
    ]
    given: dict[str, Any] = {
        "cases": ("b", "a"),
        "levels": tuple(levels),
        "planned": ((1, "off"),),
        "measured": tuple(measured),
        "observed": observed,
        "gates": gates,
        "inside": {"recalibration": {}, "inner_selections": {}},
        "donors": {},
        "seed": 0,
        "provenance": {},
    }
    return Results(**(given | changes))


def test_the_summary_of_few_numbers() -> None:
    summary = make_results().summary
    assert summary["untouched"] == {
        "core": {"dice": 0.7},
        "rim": {"dice": 0.5},
        "mean of labels": {"dice": 0.6},
    }
    [probe] = summary["probes"]
    assert probe["labels"]["core"] == {"dice": 0.45, "difference": -0.25, "interval": [-0.4, -0.1], "n": 2}
    # Untouched, b does not count; the mean of the others, 0.5, takes its place. So the change of the means is kept.
    assert probe["labels"]["rim"]["dice"] == 0.125
    assert probe["labels"]["rim"]["difference"] == pytest.approx(0.125 - 0.5)
    assert probe["labels"]["mean of labels"]["difference"] == pytest.approx((-0.25 - 0.375) / 2)
    first, second = summary["levels"]
    assert first["maps"] == {"of": "kept", "strength": [0.5], "strongest_first": [0]}
    assert second["maps"]["strongest_first"] == [1, 3, 2, 0]
    assert second["gates"] == {"gate": 0.5}
    assert summary["recalibration"] == summary["inner_selections"] == {}


def test_a_label_that_never_counts_has_no_number() -> None:
    measured = tuple(
        Measured(case, level, probe, {"core": dice, "rim": math.nan})
        for level, probe, dice in ((None, "", 0.5), (1, "off", 0.25))
        for case in ("a", "b")
    )
    results = make_results(measured=measured)
    entry = results.summary["probes"][0]["labels"]
    assert entry["rim"] == {"dice": None, "difference": None, "interval": None, "n": 0}
    assert entry["mean of labels"]["difference"] == -0.25
    assert results.format_table().splitlines()[-1].split()[-4:] == ["-", "-0.2500", "[-0.2500,", "-0.2500]"]


def test_a_change_that_rounds_to_zero_has_no_minus() -> None:
    measured = tuple(
        Measured(case, level, probe, {"core": dice, "rim": dice})
        for level, probe, dice in ((None, "", 0.5), (1, "off", 0.49998))
        for case in ("a", "b")
    )
    assert "-0.0000" not in make_results(measured=measured).format_table()


def test_the_tables() -> None:
    results = make_results()
    assert results.format_table().splitlines()[1:] == [
        "level  skip    probe                            core                         rim              mean of labels",
        "               untouched                      0.7000                      0.5000                      0.6000",
        "1      concat  off        -0.2500 [-0.4000, -0.1000]  -0.3750 [-0.5000, -0.2500]  -0.3125 [-0.4500, -0.1750]",
    ]
    assert results.format_levels().splitlines() == [
        "level  skip    merge   keeps  passes  strongest maps  selected  gates",
        "0      sat     concat  1      1       0               2 of 2    -",
        "1      concat  concat  4      4       1 3 2 0         -         gate 0.500",
    ]
