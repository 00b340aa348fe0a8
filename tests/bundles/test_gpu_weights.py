"""Weights that a training on a GPU left are applied on a machine without one."""

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow

INFERENCE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "configs" / "inference.json"


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="shows what happens without a GPU")
@pytest.mark.usefixtures("own_process")
def test_weights_of_a_gpu_are_loaded_without_one(
    sample: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = torch.load(weights, weights_only=True)
    with monkeypatch.context() as patched:
        patched.setattr(torch.serialization, "location_tag", lambda _storage: "cuda:0")
        torch.save(state, tmp_path / "model.pt")
    # Without this the file would not be one of a GPU, and the test could not fail.
    with pytest.raises(RuntimeError, match="CUDA device"):
        torch.load(tmp_path / "model.pt", weights_only=True)
    workflow = ConfigWorkflow(
        config_file=str(INFERENCE),
        workflow_type="infer",
        dataset_dir=str(sample / "imagesTs"),
        output_dir=str(tmp_path / "out"),
        checkpoint=str(tmp_path / "model.pt"),
    )
    workflow.initialize()
    workflow.run()
    assert len(list((tmp_path / "out").iterdir())) == 2
