"""Measure a bundle's training and inference in MONAI's own trainer and evaluator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow, create_workflow
from monai.bundle.utils import EXPR_KEY

from ..data.config_errors import explain_config_errors
from ..data.errors import InputError
from ..data.json_file import load_json
from ..leftovers import temporary_folder
from ..quiet import quiet_monai
from ..version import __version__
from .inference import measure_inference
from .machine import cpu_model, device_name, measure_matrix_rate
from .random_data import make_random_dataset
from .training import measure_training

__all__ = ["bench"]

_MAX_PROFILED_STEPS = 3


def bench(
    bundle: Path,
    *,
    dataset_dir: Path | None = None,
    steps: int = 20,
    warmup: int = 3,
    cases: int = 2,
    device: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure how close a bundle's training and inference come to the machine's limit.

    The bundle's ``configs/train.json`` runs as in a training, with its own loader, augmentation, optimiser and
    handlers, for a number of steps within one epoch. Nothing is validated or saved, and handlers write to a temporary
    folder. Then the evaluator of the training's validation runs over whole scans. The scans are already in memory and
    in the network's grid, and the label maps stay in that grid.

    Multiply-adds are counted in convolutions and matrix products of the network and the loss. A multiply-add is two
    floating-point operations (FLOP). A step lasts from the request of its batch to the request of the next; so does a
    scan. Shares are 0 to 1, of the timed steps' or scans' time. Each moment belongs to one phase, so the shares of all
    phases sum to 1.

    Args:
        bundle: the bundle's folder, with rendered configs.
        dataset_dir: the dataset's folder; None for random scans.
        steps: training steps to time, 1 or more.
        warmup: untimed training steps, 0 or more, after a first one whose multiply-adds are counted.
        cases: scans to time in the inference, 1 or more.
        device: where to compute; None for the config's choice.
        overrides: values of the config's keys, as on MONAI's command line.

    Returns:
        A flat, JSON-able dictionary. In a key with ``_...`` the words after it replace the dots.

        What ran: ``bundle`` (its folder's name), ``data`` (the dataset's folder, or ``random scans``), ``overrides``,
        ``parameters`` (number of trainable parameters), ``precision`` (number format of the network's pass).

        Where: ``machine_device``, ``machine_cpu``, ``machine_threads``, ``machine_gflops_per_second`` (the best product
        of square matrices in that format, measured in the same run), ``torch_version``, ``monai_version``,
        ``lightskip_version``.

        Training and inference, with ``training_`` and a ``step``, or ``inference_`` and a ``scan``:

        - ``training_steps``, ``training_step_samples``, ``training_step_voxels`` (of the batch, one channel);
          ``inference_scans``, and medians ``inference_scan_voxels``, ``inference_scan_windows``,
          ``inference_window_voxels``.
        - ``training_step_seconds_...``: ``median``, ``quartile_1``, ``quartile_3``, ``mean``.
          ``training_step_cpu_seconds``: the mean processor time of the process and its threads. It is less than the
          seconds if the process waited for loading processes or for other work on the machine. ``inference_scan_...``
          likewise.
        - ``training_..._per_second``: ``samples``, ``voxels``, at the median; ``inference_..._per_second``: ``scans``,
          ``windows``, ``voxels``, over all scans.
        - ``training_..._multiply_adds``: ``forward``, ``backward``, ``step``; ``inference_..._multiply_adds``:
          ``window``, ``scan`` (median).
        - ``training_gflops_per_second`` over all steps, ``training_network_gflops_per_second`` over their forward and
          backward phases only; ``training_machine_share`` and ``training_network_machine_share``: the same as shares of
          the machine's rate. ``training_cpu_machine_share``: the share by processor time, which other work on the
          machine does not lower; None on a GPU. ``inference_...`` likewise, the second over the network's phase.
        - ``training_share_...``: ``data`` (waiting for the batch), ``prepare_batch`` (moving it to the device, and
          augmentation of batches), ``forward``, ``loss``, ``backward``, ``optimiser``, ``other`` (handlers).
          ``inference_share_...``: ``loading``, ``network``, ``windows`` (cropping and joining them),
          ``postprocessing``, ``metrics`` (with other handlers), ``other``.
        - ``training_share_matrix_kernels``: self time of convolutions and matrix products as a share of the time of
          separate steps in the profiler. Unlike the multiply-adds, it includes products of the optimiser and the
          augmentation. ``training_share_convolutions``: convolutions only.
          ``training_operators``: the ten operators with the largest share, a list of ``operator``, ``seconds`` (of one
          step), ``share``. ``inference_...`` likewise.
        - ``training_peak_memory_bytes``. CPU: rise of the process's resident memory from the first step on, None if
          the system does not report it; GPU: peak of PyTorch's allocations.

    Raises:
        InputError: the bundle, its config or the dataset is missing, a number is out of range, or the config does not
            know an override.
    """
    config = _find_config(bundle)
    for name, value, minimum in (("steps", steps, 1), ("warmup", warmup, 0), ("cases", cases, 1)):
        if value < minimum:
            raise InputError(name, found=str(value), expected=f"{minimum} or more", remedy=f"raise --{name}")
    given = {**(overrides or {}), **({} if device is None else {"device": device})}
    profiled = min(steps, _MAX_PROFILED_STEPS)
    limits = {"train_cases": (1 + warmup + steps + profiled) * _batch_size(config, given), "val_cases": cases}
    with (
        temporary_folder() as folder,
        _open_engines(config, given, folder, dataset_dir, limits) as (workflow, trainer, evaluator),
    ):
        where: torch.device = trainer.state.device
        precision = _find_precision(workflow, trainer)
        training = measure_training(trainer, warmup=warmup, steps=steps, profiled=profiled)
        # Measured twice, because other work on the machine may disturb one measurement.
        rate = measure_matrix_rate(where, precision)
        inference = measure_inference(evaluator, scans=cases)
        rate = max(rate, measure_matrix_rate(where, precision))
        parameters = sum(parameter.numel() for parameter in trainer.network.parameters() if parameter.requires_grad)
    return {
        "bundle": bundle.resolve().name,
        "data": "random scans" if dataset_dir is None else dataset_dir.resolve().name,
        "overrides": {key: str(value) for key, value in (overrides or {}).items()},
        "parameters": parameters,
        "precision": precision,
        "machine_device": device_name(where),
        "machine_cpu": cpu_model(),
        "machine_threads": torch.get_num_threads(),
        "machine_gflops_per_second": rate,
        "torch_version": torch.__version__,
        "monai_version": version("monai"),
        "lightskip_version": __version__,
        **training,
        **_compare_with_machine(training, "training", "step", rate, where),
        **inference,
        **_compare_with_machine(inference, "inference", "scan", rate, where),
    }


def _find_config(bundle: Path) -> Path:
    config = bundle / "configs" / "train.json"
    if not bundle.is_dir():
        found, remedy = "no such folder", "name the folder of a bundle"
    elif not config.is_file():
        found, remedy = "no configs/train.json in it", f"write the configs: lightskip render {bundle}"
    else:
        return config
    raise InputError(bundle, found=found, expected="the folder of a bundle with configs/train.json", remedy=remedy)


def _read_config(config: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = load_json(config)
    except (OSError, ValueError) as error:
        raise InputError(
            config,
            found=f"a file that cannot be read as JSON ({error})",
            expected="a bundle's config",
            remedy="write it again: lightskip render BUNDLE",
        ) from error
    return content


def _batch_size(config: Path, given: Mapping[str, Any]) -> int:
    batch = given.get("batch", _read_config(config).get("batch"))
    return batch if isinstance(batch, int) else 1


@contextmanager
def _open_engines(
    config: Path, given: Mapping[str, Any], folder: Path, dataset_dir: Path | None, limits: Mapping[str, int]
) -> Iterator[tuple[ConfigWorkflow, Any, Any]]:
    """Yield the bundle's workflow, trainer and evaluator, and close their handlers when the block ends.

    Args:
        config: the bundle's ``configs/train.json``.
        given: the user's overrides, which replace those made here.
        folder: where everything is written.
        dataset_dir: the dataset's folder; None for random scans.
        limits: number of cases to use of each list. More would only be read.
    """
    content = _read_config(config)
    own: dict[str, Any] = {
        "ckpt_dir": str(folder / "run"),
        "cache_dir": str(folder / "cache"),
        "check_data": False,
    }
    for key, limit in limits.items():
        cases = content.get(key)
        if isinstance(cases, str) and cases.startswith(EXPR_KEY):
            own[key] = f"{EXPR_KEY}({cases.removeprefix(EXPR_KEY)})[:{limit}]"
    own = {key: value for key, value in own.items() if key in content}
    if dataset_dir is not None:
        own["dataset_dir"] = str(dataset_dir)
    elif "dataset_dir" not in given:
        made = make_random_dataset(
            config, given, folder / "data", training=limits["train_cases"], validation=limits["val_cases"]
        )
        own |= {"dataset_dir": str(made.parent), "datalist": str(made)}
    settings = {**own, **given, "config_file": str(config), "workflow_type": "train", "logging_file": False}
    with explain_config_errors(str(config)), quiet_monai():
        workflow = create_workflow(**settings)
        trainer, evaluator = (_get_component(workflow, id_, config) for id_ in ("train#trainer", "validate#evaluator"))
    try:
        yield workflow, trainer, evaluator
    finally:
        for id_ in ("train#handlers", "validate#handlers"):
            for handler in workflow.parser.get_parsed_content(id_, default=[]):
                if hasattr(handler, "close"):
                    handler.close()
        workflow.finalize()


def _get_component(workflow: ConfigWorkflow, id_: str, config: Path) -> Any:
    if id_ not in workflow.parser:
        raise InputError(
            config,
            found=f"no {id_}",
            expected="train#trainer and validate#evaluator, as in MONAI's bundles",
            remedy="measure a bundle whose configs `lightskip render` wrote",
        )
    return workflow.parser.get_parsed_content(id_)


def _find_precision(workflow: ConfigWorkflow, trainer: Any) -> str:
    if "used_precision" in workflow.parser:
        return str(workflow.parser.get_parsed_content("used_precision"))
    return str(getattr(trainer.inferer, "precision", "float16" if trainer.amp else "float32"))


def _compare_with_machine(
    measured: Mapping[str, Any], prefix: str, step: str, rate: float, device: torch.device
) -> dict[str, float | None]:
    """Return the measured rates as shares of the machine's rate (GFLOP/s)."""
    share = measured[f"{prefix}_gflops_per_second"] / rate
    busy = measured[f"{prefix}_{step}_cpu_seconds"] / measured[f"{prefix}_{step}_seconds_mean"]
    return {
        f"{prefix}_machine_share": share,
        f"{prefix}_network_machine_share": measured[f"{prefix}_network_gflops_per_second"] / rate,
        f"{prefix}_cpu_machine_share": share * torch.get_num_threads() / busy if device.type == "cpu" else None,
    }
