"""Train nnU-Net for a short time, and predict with it. Each is a command for a process of its own.

    python benchmarks/nnunet_parts.py train FOLDER --iterations 300 --batch 2
    python benchmarks/nnunet_parts.py predict MODEL SCANS OUT --mirror

`train` needs nnU-Net's dataset in FOLDER/raw, as `write_dataset` makes it, and FOLDER/splits.json. `predict` writes
OUT/network.json next to the label maps.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.networks.precision import cpu_has_bfloat16

__all__ = ["MODEL", "copy_scans", "write_dataset"]

_NUMBER, _CONFIGURATION, _TRAINER = 501, "3d_fullres", "nnUNetTrainer"
_DATASET = f"Dataset{_NUMBER}_Fold"
_EPOCHS = 10
MODEL = Path("results") / _DATASET / f"{_TRAINER}__nnUNetPlans__{_CONFIGURATION}"
"""Where `train` leaves the model, from its folder."""


def write_dataset(
    folder: Path, training: Sequence[Mapping[str, Path]], validation: Sequence[Mapping[str, Path]], labels: Any
) -> None:
    """Write a dataset in nnU-Net's layout, with one fold.

    Args:
        folder: gets nnU-Net's folders raw, preprocessed and results.
        training: cases to train with, each with the keys ``image`` and ``label``.
        validation: cases of the fold.
        labels: value of each label by name, background included.
    """
    for name in ("raw", "preprocessed", "results"):
        (folder / name).mkdir(parents=True)
    raw, cases = folder / "raw" / _DATASET, [*training, *validation]
    copy_scans((case["image"] for case in cases), raw / "imagesTr")
    (raw / "labelsTr").mkdir()
    for case in cases:
        shutil.copy(case["label"], raw / "labelsTr" / case["image"].name)
    content = {"channel_names": {"0": "MRI"}, "labels": labels, "numTraining": len(cases), "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    split = {key: [_name(case["image"]) for case in part] for key, part in (("train", training), ("val", validation))}
    (folder / "splits.json").write_text(json.dumps([split]), encoding="utf-8")


def copy_scans(files: Iterable[Path], folder: Path) -> None:
    """Copy scans of one channel to a new folder, under the names that nnU-Net expects."""
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder / f"{_name(file)}_0000.nii.gz")


def _train(options: argparse.Namespace) -> None:
    """Plan, preprocess and train. nnU-Net's schedule is scaled down to the iterations."""
    folder: Path = options.folder
    _set({name: str(folder / name) for name in ("raw", "preprocessed", "results")})
    _set({"def_n_proc": "1", "n_proc_DA": "1"})  # nnU-Net's planner does not take 0.
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (  # noqa: PLC0415
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )
    from nnunetv2.run.run_training import get_trainer_from_args  # noqa: PLC0415

    torch.manual_seed(0)
    extract_fingerprints([_NUMBER], num_processes=1)
    plan_experiments([_NUMBER])
    plans_file = folder / "preprocessed" / _DATASET / "nnUNetPlans.json"
    plans = json.loads(plans_file.read_text(encoding="utf-8"))
    plan = plans["configurations"][_CONFIGURATION]
    plan["batch_size"] = options.batch
    arguments = plan["architecture"]["arch_kwargs"]
    arguments["features_per_stage"] = [width // options.divide for width in arguments["features_per_stage"]]
    plans_file.write_text(json.dumps(plans), encoding="utf-8")
    preprocess([_NUMBER], configurations=(_CONFIGURATION,), num_processes=(1,))
    shutil.copy(folder / "splits.json", plans_file.parent / "splits_final.json")
    _set({"n_proc_DA": "0"})  # Augment in this process.
    trainer = get_trainer_from_args(str(_NUMBER), _CONFIGURATION, 0, _TRAINER, device=torch.device("cpu"))
    trainer.num_epochs = min(_EPOCHS, options.iterations)
    trainer.num_iterations_per_epoch = options.iterations // trainer.num_epochs
    trainer.num_val_iterations_per_epoch = 1
    trainer.initialize()
    if cpu_has_bfloat16():
        _compute_in_bfloat16(trainer.network)
    start = time.perf_counter()
    trainer.run_training()
    found = {
        "iterations": trainer.num_epochs * trainer.num_iterations_per_epoch,
        "batch": options.batch,
        "precision": "bfloat16" if cpu_has_bfloat16() else "float32",
        "seconds": time.perf_counter() - start,
    }
    (folder / MODEL / "training.json").write_text(json.dumps(found), encoding="utf-8")


def _predict(options: argparse.Namespace) -> None:
    """Predict scan by scan in this process, as ``nnUNetv2_predict -npp 0 -nps 0`` does, with OMP_NUM_THREADS."""
    _set(dict.fromkeys(("raw", "preprocessed", "results"), str(options.output)))  # They only have to be set.
    _set({"def_n_proc": str(torch.get_num_threads())})  # PyTorch's threads in the export, 8 by default.
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: PLC0415

    predictor = nnUNetPredictor(
        use_mirroring=options.mirror, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(str(options.model), use_folds=None)
    if len(predictor.list_of_parameters) != 1:
        msg = f"{options.model}: {len(predictor.list_of_parameters)} folds with a final checkpoint; expected one"
        raise RuntimeError(msg)
    network, starts, seconds = predictor.network, [0.0], []
    network.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter()))
    network.register_forward_hook(lambda *_: seconds.append(time.perf_counter() - starts[-1]))
    options.output.mkdir()
    predictor.predict_from_files_sequential(str(options.scans), str(options.output))
    found = {
        "seconds": sum(seconds),
        "passes": len(seconds),
        "threads": torch.get_num_threads(),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "patch": list(predictor.configuration_manager.patch_size),
        "mirror_axes": list(predictor.allowed_mirroring_axes or ()) if options.mirror else [],
    }
    (options.output / "network.json").write_text(json.dumps(found, default=int), encoding="utf-8")


def _compute_in_bfloat16(network: nn.Module) -> None:
    forward = network.forward

    def compute(scans: torch.Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            outputs = forward(scans)
        return [output.float() for output in outputs] if isinstance(outputs, list) else outputs.float()

    network.forward = compute  # type: ignore[method-assign]


def _set(values: Mapping[str, str]) -> None:
    """Set environment variables of nnU-Net, which reads most of them when it is imported."""
    os.environ.update({f"nnUNet_{name}": value for name, value in values.items()})


def _name(file: Path) -> str:
    return file.name.removesuffix(".nii.gz")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    train, predict = parts.add_parser("train"), parts.add_parser("predict")
    train.add_argument("folder", type=Path)
    train.add_argument("--iterations", type=int, required=True)
    train.add_argument("--batch", type=int, required=True)
    train.add_argument("--divide", type=int, default=1, help="the planned widths by this [%(default)s]")
    train.set_defaults(work=_train)
    for name in ("model", "scans", "output"):
        predict.add_argument(name, type=Path)
    predict.add_argument("--mirror", action="store_true")
    predict.set_defaults(work=_predict)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    _main()
