"""The documents have a row with the options of every network and skip connection."""

import inspect
import re
from pathlib import Path

from pipeline.networks import Networks, Skip

DOCS = Path(__file__).resolve().parents[2] / "docs"
GIVEN = {"self", "spatial_dims", "in_channels", "out_channels", "skip", "encoder_channels", "decoder_channels"}


def options_of(registry):
    """The options of each of LightSkip's own, by name."""
    classes = {name.lower(): registry[name] for name in registry.names}
    return {
        name: set(inspect.signature(cls.__init__).parameters) - GIVEN
        for name, cls in classes.items()
        if cls.__module__.startswith("pipeline.")
    }


def words(cell):
    return set(re.findall(r"`(\w+)`", cell))


def rows(document):
    lines = (DOCS / document).read_text(encoding="utf-8").splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]


def test_every_network_has_a_row_with_its_options():
    assert {row[0].strip("`"): words(row[-1]) for row in rows("networks.md")} == options_of(Networks)


def test_every_option_of_a_skip_has_a_row_with_the_skips_that_take_it():
    expected = {}
    for skip, options in options_of(Skip).items():
        for option in options:
            expected.setdefault(option, set()).add(skip)
    found = {row[0].strip("`"): words(row[1]) for row in rows("skips.md") if row[0].strip("`") in expected}
    assert found == expected
