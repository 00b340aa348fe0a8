"""Names that bundles rendered by earlier versions contain."""

from importlib import import_module

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


# All that the configs of version 0.1.0 name.
EARLIER = (
    "pipeline.bundle.check_overrides",
    "pipeline.bundle.check_settings",
    "pipeline.data.check_cases",
    "pipeline.data.check_scans",
    "pipeline.data.explain_errors",
    "pipeline.data.find_scans",
    "pipeline.data.read_cases",
    "pipeline.data.reader.LoadScand",
    "pipeline.evaluation.CaseReport",
    "pipeline.inference.PrecisionInferer",
    "pipeline.inference.PrecisionSlidingWindowInferer",
    "pipeline.inference.SaveLabelMapd",
    "pipeline.inference.SaveProbabilitiesd",
    "pipeline.inference.check_weights",
    "pipeline.inference.choose_precision",
    "pipeline.inference.mirrored",
    "pipeline.networks.VNet",
    "pipeline.training.AugmentBatch",
    "pipeline.training.AverageWeights",
    "pipeline.training.EndInTime",
    "pipeline.training.EpochSeed",
    "pipeline.training.Muon",
    "pipeline.training.PreparedDataset",
    "pipeline.training.Progress",
    "pipeline.training.ResumableCheckpoint",
    "pipeline.training.SparseSkipLoss",
    "pipeline.training.StopWithoutProgress",
    "pipeline.training.ValidateLastEpoch",
    "pipeline.training.distributed.leave_ranks",
    "pipeline.training.distributed.local_device",
    "pipeline.training.distributed.start_ranks",
    "pipeline.training.keep_memory",
    "pipeline.training.parameter_groups",
)


@pytest.mark.parametrize("name", EARLIER)
def test_a_name_in_earlier_configs_is_still_there(name):
    module, _, attribute = name.rpartition(".")
    assert callable(getattr(import_module(module), attribute))
