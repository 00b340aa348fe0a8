"""nnU-Net finds the trainers, trains, validates and predicts with them: ``make test-nnunet``."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.networks import build_network

from .conftest import DATASET

pytest.importorskip("nnunetv2", reason="nnU-Net has an environment of its own: make test-nnunet")

NETWORKS, SKIPS = ("vnet", "unet"), ("concat", "sat", "scse")
CPU = torch.device("cpu")


def find(trainer: str) -> Any:
    """Return the class that nnU-Net finds for a trainer's name."""
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name  # noqa: PLC0415

    return recursive_find_trainer_class_by_name(trainer)


def get_trainer(name: str, configuration: str = "3d_fullres") -> Any:
    """Return the trainer that the command nnUNetv2_train would get."""
    from nnunetv2.run.run_training import get_trainer_from_args  # noqa: PLC0415

    return get_trainer_from_args("501", configuration, 0, name, device=CPU)


def train(name: str, configuration: str, results: Path, patch: pytest.MonkeyPatch) -> Path:
    """Run nnUNetv2_train for an epoch of few iterations; return the folder of the trained model."""
    from nnunetv2.run import run_training  # noqa: PLC0415

    get = run_training.get_trainer_from_args

    def get_with_few_iterations(*args: Any, **kwargs: Any) -> Any:
        trainer = get(*args, **kwargs)
        trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = 3, 1
        return trainer

    patch.setattr(run_training, "get_trainer_from_args", get_with_few_iterations)
    run_training.run_training("501", configuration, 0, name, device=CPU)
    return results / DATASET / f"{name}__nnUNetPlans__{configuration}"


@pytest.fixture(
    scope="module",
    params=[
        *[(network, skip, "3d_fullres") for network in NETWORKS for skip in SKIPS],
        ("vnet", "sat4", "2d"),
    ],
    ids="-".join,
)
def trained(request: pytest.FixtureRequest, nnunet_folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Return the folder of a trained model, its network and its skip."""
    network, skip, configuration = request.param
    with pytest.MonkeyPatch.context() as patch:
        name = f"LightSkipTrainer_{network}_{skip}_1epoch"
        yield train(name, configuration, nnunet_folder / "results", patch), network, skip


def load(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "fold_0" / "checkpoint_final.pth", map_location="cpu", weights_only=False)


def test_the_weights_are_those_of_the_wanted_network(trained: tuple[Path, str, str]) -> None:
    folder, network, skip = trained
    spec = json.loads((folder / "fold_0" / "lightskip.json").read_text())["network"]
    wanted = ["sat", {"maps": 4, "gate": "linear", "merge": "sum"}] if skip == "sat4" else skip
    assert spec["name"] == network
    assert spec["skip"] in (wanted, [wanted, {"select": "soft"}])
    build_network(spec).load_state_dict(load(folder)["network_weights"])


def test_losses_are_finite_and_weights_change(trained: tuple[Path, str, str]) -> None:
    folder, _, _ = trained
    checkpoint = load(folder)
    assert np.isfinite([*checkpoint["logging"]["train_losses"], *checkpoint["logging"]["val_losses"]]).all()
    assert checkpoint["current_epoch"] == 1
    assert all(torch.isfinite(weight).all() for weight in checkpoint["network_weights"].values())


def assert_in_the_scans_grid(label_map: Path, reference: Path) -> None:
    found, expected = nibabel.load(label_map), nibabel.load(reference)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)
    assert set(np.unique(np.asarray(found.dataobj))) <= {0, 1, 2}


def test_validation_writes_label_maps_in_the_scans_grid(trained: tuple[Path, str, str], nnunet_folder: Path) -> None:
    folder, _, _ = trained
    [label_map] = (folder / "fold_0" / "validation").glob("*.nii.gz")
    assert_in_the_scans_grid(label_map, nnunet_folder / "raw" / DATASET / "labelsTr" / label_map.name)


def test_inference_rebuilds_the_network(trained: tuple[Path, str, str]) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: PLC0415

    folder, _, _ = trained
    predictor = nnUNetPredictor(device=CPU, perform_everything_on_device=False)
    predictor.initialize_from_trained_model_folder(str(folder), use_folds=(0,))
    spec = json.loads((folder / "fold_0" / "lightskip.json").read_text())["network"]
    ours = build_network(spec).eval()
    ours.load_state_dict(load(folder)["network_weights"])
    patch = torch.rand(1, 1, *predictor.configuration_manager.patch_size)
    with torch.no_grad():
        torch.testing.assert_close(predictor.network.eval()(patch), ours(patch))


def test_the_command_predicts_in_a_new_process(nnunet_folder: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        train("LightSkipTrainer_1epoch", "3d_per_level", nnunet_folder / "results", patch)
    scans = nnunet_folder / "raw" / DATASET / "imagesTr"
    words = ["-i", str(scans), "-o", str(tmp_path), "-d", "501", "-c", "3d_per_level", "-f", "0", "-device", "cpu"]
    words += ["-tr", "LightSkipTrainer_1epoch", "--disable_tta", "-npp", "0", "-nps", "0"]
    # The command nnUNetv2_predict, which imports torchvision as this process did.
    entry = (
        "import load_torchvision; from nnunetv2.inference import predict_from_raw_data as p; p.predict_entry_point()"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", entry, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for scan in sorted(scans.glob("*.nii.gz")):
        label_map = scan.name.replace("_0000", "")
        assert_in_the_scans_grid(tmp_path / label_map, scan.parents[1] / "labelsTr" / label_map)


def test_the_entry_in_the_plans_chooses_the_network(nnunet_folder: Path) -> None:
    trainer = get_trainer("LightSkipTrainer", "3d_per_level")
    trainer.initialize()
    names = [type(skip).__name__ for skip in trainer.network.skips().values()]
    assert names == ["NoSkip", "SelectAttendTransfer", "ConcatSkip"]
    assert trainer.network.spec["residual"] == "merged"


def test_the_sparsity_term_is_in_the_loss(nnunet_folder: Path) -> None:
    trainer = get_trainer("LightSkipTrainer", "3d_per_level")
    trainer.initialize()
    outputs = trainer.network.train()(torch.rand(1, 1, *trainer.configuration_manager.patch_size))
    targets = [torch.zeros(1, 1, *output.shape[2:]) for output in outputs]
    term = trainer.loss(outputs, targets) - trainer.loss.loss(outputs, targets)
    # One selecting skip, whose weights start at one, and the plans' weight of 0.5.
    assert float(term.detach()) == pytest.approx(0.5)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_outputs_have_the_shapes_of_nnunets_own_network(
    nnunet_folder: Path, configuration: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nnU-Net compiles on a GPU. This traces as it does, without generating code.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    shapes = {}
    for name in ("nnUNetTrainer", "LightSkipTrainer_vnet_sat"):
        trainer = get_trainer(name, configuration)
        trainer._do_i_compile = lambda: compiled
        trainer.initialize()
        scan = torch.rand(2, 1, *trainer.configuration_manager.patch_size)
        shapes[name] = []
        for enabled in (True, False):
            for start in (trainer.network.train, trainer.on_validation_epoch_start):
                trainer.set_deep_supervision_enabled(enabled)
                start()
                outputs = trainer.network(scan)
                shapes[name].append([tuple(output.shape) for output in (outputs if enabled else [outputs])])
    assert shapes["LightSkipTrainer_vnet_sat"] == shapes["nnUNetTrainer"]


def test_layers_are_in_evaluation_mode_during_validation(nnunet_folder: Path) -> None:
    trainer = get_trainer("LightSkipTrainer_vnet_sat")
    trainer.initialize()
    trainer.on_validation_epoch_start()
    assert not any(module.training for module in trainer.network.modules() if module is not trainer.network)


def test_a_wrong_name_is_reported_with_the_nearest(nnunet_folder: Path) -> None:
    with pytest.raises(InputError, match="did you mean sat4"):
        find("LightSkipTrainer_vnet_sta4")


def test_a_name_of_another_trainer_is_left_to_nnunet(nnunet_folder: Path) -> None:
    with pytest.raises(RuntimeError, match="Could not find requested nnunet trainer"):
        find("nnUNetTrainerOfNobody")
