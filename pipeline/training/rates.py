"""How a resume changes a training's length: its learning rate, and a warm restart of its schedule."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.longer import RESTART, THOUSANDTHS, Length, Reached, changes_length, share_done

__all__ = ["change_length", "next_rate", "restart_schedule"]


def change_length(
    path: Path, state: Mapping[str, Any], *, length: Length, longer: str | None, lr_scheduler: Any
) -> tuple[Reached, list[dict[str, Any]]]:
    """Return what the training has done, and how its length changes now, if it does: a list of one record.

    Raises:
        InputError: its length changes, and `longer` does not say how, or cannot be.
    """
    reached = Reached.read(state)
    if reached is None:
        # Of a version that did not record the length: known only for a number of epochs.
        total = state["lr_scheduler"].get("t_total")
        seconds = float(state.get("seconds", 0.0))
        known = Length(total, None) if "seconds" not in state else Length(None, seconds / 60)
        unknown = longer is None and ("seconds" in state or total is None)
        reached = Reached(length if unknown else known, state["epoch"], seconds)

    def rate(way: str) -> float | None:
        return next_rate(lr_scheduler, reached, length, way)

    if not changes_length(path, reached, length, longer, rates=rate):
        return reached, []
    way = str(longer)
    if way == RESTART and not hasattr(lr_scheduler, "lr_lambda"):
        raise InputError(
            path,
            found=f"--longer {way} with the schedule {type(lr_scheduler).__name__}",
            expected="MONAI's WarmupCosineSchedule, which LightSkip can restart",
            remedy="use --longer stretch",
        )
    return reached, [reached.change(length, way, rate(way))]


def next_rate(lr_scheduler: Any, reached: Reached, now: Length, way: str) -> float | None:
    """Return the learning rate of the first step after a training's length was changed.

    Args:
        lr_scheduler: a new schedule of the new length.
        reached: what the training has done.
        now: its new length.
        way: how the length changes.

    Returns:
        The rate; None if the schedule is not one that is given by a position, as MONAI's ``WarmupCosineSchedule`` is.
    """
    if not hasattr(lr_scheduler, "lr_lambda"):
        return None
    base = float(lr_scheduler.base_lrs[0])
    if way == RESTART:
        return base
    since = reached.restarted
    total = THOUSANDTHS if now.epochs is None else now.epochs - since[0]
    position = share_done(reached, now, since) * total
    if any(since):
        # A restarted schedule has no warm-up.
        return base * _without_warmup(lr_scheduler, total, position)
    return base * float(lr_scheduler.lr_lambda(position))


def restart_schedule(lr_scheduler: Any, epochs: int | None, restarted: tuple[int, float]) -> None:
    """Let a new schedule begin at a warm restart, in place: without warm-up, over the epochs behind it.

    Loshchilov and Hutter, "SGDR", ICLR 2017. The rate falls from the top to 0 again.

    Args:
        lr_scheduler: MONAI's ``WarmupCosineSchedule``, at its first step.
        epochs: length of the training; None if the minutes decide.
        restarted: epoch and seconds of the restart; 0 and 0 leave the schedule as it is.
    """
    if not any(restarted):
        return
    lr_scheduler.warmup_steps = 0
    if epochs is not None:
        lr_scheduler.t_total = epochs - restarted[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rates = lr_scheduler.get_lr()
    lr_scheduler._last_lr = rates
    for group, rate in zip(lr_scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def _without_warmup(lr_scheduler: Any, total: int, position: float) -> float:
    before = lr_scheduler.warmup_steps, lr_scheduler.t_total
    lr_scheduler.warmup_steps, lr_scheduler.t_total = 0, total
    try:
        return float(lr_scheduler.lr_lambda(position))
    finally:
        lr_scheduler.warmup_steps, lr_scheduler.t_total = before
