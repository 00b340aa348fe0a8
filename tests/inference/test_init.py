"""Names that bundles rendered by earlier versions say."""

import pytest
from monai.bundle import ConfigParser

from pipeline.labelmaps.clean import CleanLabelMapd
from pipeline.labelmaps.save import SaveLabelMapd, SaveProbabilitiesd


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("CleanLabelMapd", {"largest_component": [1]}, CleanLabelMapd),
        ("SaveLabelMapd", {"output_dir": "out", "labels": {"liver": 1}}, SaveLabelMapd),
        ("SaveProbabilitiesd", {"output_dir": "out", "enabled": False}, SaveProbabilitiesd),
    ],
)
def test_a_bundle_rendered_earlier_finds_its_transforms(name, arguments, kind):
    config = {"step": {"_target_": f"pipeline.inference.{name}", "keys": "pred", **arguments}}
    assert type(ConfigParser(config).get_parsed_content("step")) is kind
