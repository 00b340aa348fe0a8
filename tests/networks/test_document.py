"""docs/networks.md has a row with the options of every network and skip connection."""

import inspect
import re
from pathlib import Path

import pytest

from pipeline.networks import Networks, Skip

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
GIVEN = {"self", "spatial_dims", "in_channels", "out_channels", "skip", "encoder_channels", "decoder_channels"}


def ours(registry):
    return [name.lower() for name in registry.names if registry[name].__module__.startswith("pipeline.")]


@pytest.mark.parametrize("registry", [Networks, Skip], ids=["networks", "skips"])
def test_every_name_has_a_row_with_its_options(registry):
    names = ours(registry)
    assert names
    for name in names:
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{name}` |")]
        options = set(inspect.signature(registry[name].__init__).parameters) - GIVEN
        last = row.rstrip("| ").rpartition(" | ")[2]
        assert set(re.findall(r"`(\w+)`", last)) == options
