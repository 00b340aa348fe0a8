"""Train in several processes, one per GPU, with the same result as one process with the same batch.

PyTorch's ``DistributedDataParallel`` averages the gradients of the processes. For a loss that is a mean over samples,
that is the gradient of the whole batch. Dice over the batch is a ratio of sums, so for Dice it is not. Therefore every
process computes the loss of the whole batch from the predictions of all processes (:func:`gather_batch`).
"""

from __future__ import annotations

import logging
import os
import re
import time
from datetime import timedelta
from typing import Any

import ignite.distributed as idist
import torch
import torch.distributed as dist
from ignite.engine import Engine
from torch import Tensor

from ..data.errors import InputError

__all__ = [
    "gather_batch",
    "has_lost_another",
    "leave_ranks",
    "let_first_speak",
    "local_device",
    "start_ranks",
    "wait_for_end",
]

_ENVIRONMENT = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_MAX_WAIT = 30.0  # seconds
# Words of Gloo and NCCL about a process that no longer answers.
_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|remote process", re.IGNORECASE)


def local_device() -> torch.device:
    """Return the GPU with this process's number on its machine, or the CPU if there is no GPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def start_ranks(device: torch.device | str, batch: int) -> None:
    """Connect the processes that ``torchrun`` started: with NCCL on GPUs, with Gloo on CPUs.

    Afterwards ``torch.distributed`` and ``ignite.distributed`` know the ranks. Ranks above 0 log no
    messages below a warning.
    A process that is already connected does nothing.

    Args:
        device: where this process computes, from :func:`local_device`.
        batch: cases in the batch of all processes together; each process takes an equal share.

    Raises:
        InputError: ``torchrun`` did not start this process, the number of processes does not divide the batch, or a
            machine has fewer GPUs than processes.
    """
    if dist.is_initialized():
        return
    device = torch.device(device)
    _check_environment()
    _check_batch(batch, int(os.environ["WORLD_SIZE"]))
    if device.type == "cuda":
        _check_gpus(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        torch.cuda.set_device(device)
    # The others wait while rank 0 checks every file, which can take hours for large scans on slow disks.
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=6))
    # Ignite looks for the group at its first use, in which all ranks have to take part: do it here, where they all are.
    idist.sync()
    if dist.get_rank() > 0:
        logging.getLogger(__name__.partition(".")[0]).setLevel(logging.WARNING)


def leave_ranks() -> None:
    """Wait for the other processes and disconnect. Call it last in a run.

    A Gloo thread may hold the tensors of the last exchange a moment longer than the exchange takes. If Python exits in
    that moment, the thread aborts the process with status -6 although the work is done. One exchange without tensors
    for each of Gloo's two threads releases them.
    """
    for _ in range(2):
        dist.barrier()
    dist.destroy_process_group()


def gather_batch(prediction: Tensor | list[Tensor], target: Tensor) -> tuple[Tensor | list[Tensor], Tensor]:
    """Concatenate the batches of all ranks, so that every rank computes the loss of the whole batch.

    Only the rank's own part has a gradient. It is multiplied by the number of ranks, by which
    ``DistributedDataParallel`` divides when it averages. The average is then the gradient of the whole batch's loss.
    The average leaves terms that depend only on the weights unchanged.

    All ranks must have the same shapes. PyTorch's ``DistributedSampler`` assigns them equal numbers of cases, and all
    patches have one size.

    Args:
        prediction: this rank's logits (N, C, *spatial), or a list of them under deep supervision.
        target: this rank's label map (N, 1, *spatial).

    Returns:
        Prediction and target with ``N * ranks`` samples, rank 0's first. In one process, the arguments themselves.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return prediction, target
    whole = torch.cat(_gather(target))
    if isinstance(prediction, list):
        return [_gather_with_gradient(level) for level in prediction], whole
    return _gather_with_gradient(prediction), whole


class _ScaledGradient(torch.autograd.Function):
    """Return the tensor itself, and multiply its gradient by a factor."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * ctx.factor, None


def _gather(tensor: Tensor) -> list[Tensor]:
    """Return every rank's tensor of this shape, in the order of ranks, without gradient."""
    tensor = tensor.detach().contiguous()
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    return parts


def _gather_with_gradient(tensor: Tensor) -> Tensor:
    parts = _gather(tensor)
    parts[dist.get_rank()] = _ScaledGradient.apply(tensor, len(parts))
    return torch.cat(parts)


def _check_environment() -> None:
    missing = [name for name in _ENVIRONMENT if name not in os.environ]
    if missing:
        raise InputError(
            "multi_gpu_train",
            found=f"no {missing[0]} in the environment, so this process is not one of several",
            expected="a process that torchrun started",
            remedy="start it with `torchrun --standalone --nproc_per_node 2 -m monai.bundle run training ...` "
            "in place of `python -m monai.bundle run training ...`, or leave multi_gpu_train.json out",
        )


def _check_batch(batch: int, ranks: int) -> None:
    # `check_settings` reports a batch that is not a number.
    if isinstance(batch, int) and batch % ranks != 0:
        raise InputError(
            "batch",
            found=f"{batch} cases for {ranks} processes",
            expected=f"a multiple of {ranks}, because all processes share the batch",
            remedy=f"set --batch {-(-batch // ranks) * ranks}, or another --nproc_per_node of torchrun",
        )


def _check_gpus(ranks: int) -> None:
    gpus = torch.cuda.device_count()
    if ranks > gpus:
        raise InputError(
            "nproc_per_node",
            found=f"{ranks} processes and {gpus} GPU{'s' * (gpus != 1)} on this machine",
            expected="one GPU per process",
            remedy=f"set --nproc_per_node {gpus} of torchrun, or train on the CPU (CUDA_VISIBLE_DEVICES=)",
        )


def let_first_speak(engine: Engine) -> None:
    """Wait in every process but the first, which reports what all of them have found; ``torchrun`` then ends these.

    Without that, each would print the same message. A process that is not ended goes on after a while.
    """
    if engine.state.rank != 0:
        wait_for_end()


def wait_for_end() -> None:
    """Wait for ``torchrun``, which ends all processes as soon as one has failed. It does so within seconds."""
    time.sleep(_MAX_WAIT)


def has_lost_another(error: BaseException) -> bool:
    """Return whether an error says that another process of the training has ended."""
    several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return several and isinstance(error, RuntimeError) and bool(_LOST.search(f"{type(error).__name__} {error}"))
