"""Training in several processes, one per GPU, that computes what one process with the same batch computes.

PyTorch's ``DistributedDataParallel`` averages the gradients of the processes. That is the gradient of the whole batch
for a loss that is a mean over samples. Dice over the batch is not: it is a ratio of sums. So every process computes the
loss of the whole batch, from the predictions of all (:func:`gather_batch`).
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

import ignite.distributed as idist
import torch
import torch.distributed as dist
from torch import Tensor

from ..data.errors import InputError

__all__ = ["gather_batch", "leave_ranks", "local_device", "start_ranks"]

_ENVIRONMENT = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def local_device() -> torch.device:
    """This process's GPU, the one with the number of the process on its machine; the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def start_ranks(device: torch.device | str, batch: int) -> None:
    """Join the processes that ``torchrun`` started: over NCCL on GPUs, over Gloo on CPUs.

    Afterwards ``torch.distributed`` and ``ignite.distributed`` know the ranks, and only rank 0 logs what is no warning.
    In a process that has joined already nothing is done.

    Args:
        device: where this process computes, as :func:`local_device` gives it.
        batch: cases in the batch of all processes together; each takes its share.

    Raises:
        InputError: when ``torchrun`` did not start this process, the processes do not divide the batch, or a machine
            has fewer GPUs than processes.
    """
    if dist.is_initialized():
        return
    device = torch.device(device)
    _check_environment()
    _check_batch(batch, int(os.environ["WORLD_SIZE"]))
    if device.type == "cuda":
        _check_gpus(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        torch.cuda.set_device(device)
    # The others wait while the first one checks every file, which may take long for large scans on slow disks.
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=6))
    # Ignite looks for the group when it is first asked, and then all ranks have to take part: here they do.
    idist.sync()
    if dist.get_rank() > 0:
        logging.getLogger(__name__.partition(".")[0]).setLevel(logging.WARNING)


def leave_ranks() -> None:
    """Wait for the other processes, and leave them; the last thing that a run does.

    A thread of Gloo may hold the tensors of the last exchange for a moment longer than the exchange takes. Where Python
    ends in that moment the thread ends the process, with status -6, after all was done. Exchanges without tensors, one
    for each of its two threads, make them let go.
    """
    for _ in range(2):
        dist.barrier()
    dist.destroy_process_group()


def gather_batch(prediction: Tensor | list[Tensor], target: Tensor) -> tuple[Tensor | list[Tensor], Tensor]:
    """Put the batches of all ranks together, so that every rank computes the loss of the whole batch.

    Only the rank's own part carries a gradient, and that is the gradient times the number of ranks:
    ``DistributedDataParallel`` divides by it when it averages. The average is then the gradient of the whole batch's
    loss, and terms that depend on the weights alone come out of the average as they went in.

    All ranks must have the same shapes. PyTorch's ``DistributedSampler`` gives them equal numbers of cases, and patches
    are of one size.

    Args:
        prediction: this rank's logits (N, C, *spatial), or a list of them, as deep supervision gives.
        target: this rank's label map (N, 1, *spatial).

    Returns:
        Prediction and target with ``N * ranks`` samples, rank 0's first; in one process what was given.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return prediction, target
    whole = torch.cat(_gather(target))
    if isinstance(prediction, list):
        return [_gather_with_gradient(level) for level in prediction], whole
    return _gather_with_gradient(prediction), whole


class _ScaledGradient(torch.autograd.Function):
    """The tensor itself; its gradient times a factor."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * ctx.factor, None


def _gather(tensor: Tensor) -> list[Tensor]:
    """Every rank's tensor of this shape, in the order of ranks; without gradient."""
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
            found=f"no {missing[0]} in the environment: this process is not one of several",
            expected="processes that torchrun started",
            remedy="start it with `torchrun --standalone --nproc_per_node 2 -m monai.bundle run training ...` "
            "in place of `python -m monai.bundle run training ...`, or leave multi_gpu_train.json out",
        )


def _check_batch(batch: int, ranks: int) -> None:
    # What is no number is told of by check_settings.
    if isinstance(batch, int) and batch % ranks != 0:
        raise InputError(
            "batch",
            found=f"{batch} cases for {ranks} processes",
            expected=f"a multiple of {ranks}: the batch is that of all processes together",
            remedy=f"give --batch {-(-batch // ranks) * ranks}, or another --nproc_per_node to torchrun",
        )


def _check_gpus(ranks: int) -> None:
    gpus = torch.cuda.device_count()
    if ranks > gpus:
        raise InputError(
            "nproc_per_node",
            found=f"{ranks} processes and {gpus} GPU{'s' * (gpus != 1)} on this machine",
            expected="a GPU for each process",
            remedy=f"give --nproc_per_node {gpus} to torchrun, or hide the GPUs (CUDA_VISIBLE_DEVICES=) for the CPU",
        )
