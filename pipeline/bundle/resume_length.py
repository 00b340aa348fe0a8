"""Check the length of a training that is resumed, before PyTorch is imported: see `pipeline.data.longer`.

The checkpoint handler of the run checks it once more, by ``last.pt``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..data.longer import (
    RESTART,
    THOUSANDTHS,
    Length,
    Reached,
    changes_length,
    longer_text,
    refuse_longer_alone,
    share_done,
    warmup_cosine,
)
from .training_facts import LAST, read_summary

__all__ = ["LENGTH_KEYS", "check_resume_length"]

LENGTH_KEYS = ("resume", "longer", "epochs", "minutes", "ckpt_dir", "learning_rate", "warmup_epochs")
_WARMUP_SHARE = 0.045  # of lr_scheduler#warmup_steps in the recipe


def check_resume_length(values: Mapping[str, Any], config: Mapping[str, Any], where: str) -> str:
    """Check that a resume keeps the length of its training, or that the user names how to change it.

    Args:
        values: the settings under `LENGTH_KEYS`; nothing is checked unless all but the last two are there.
        config: the config with the overrides, which shows whether the schedule is the recipe's.
        where: the config's files, for the message.

    Returns:
        A line with the last and the next learning rate if the length changes; an empty text if not.

    Raises:
        InputError: see `changes_length`.
    """
    if not set(LENGTH_KEYS[:5]) <= values.keys():
        return ""
    way, folder = values["longer"], Path(values["ckpt_dir"]).expanduser()
    refuse_longer_alone(way, resume=values["resume"] is True, where=where)
    if values["resume"] is not True:
        return ""
    try:
        reached = Reached.read(read_summary(folder))
    except (KeyError, TypeError, ValueError):
        # A damaged summary: last.pt is read by the run.
        return ""
    if reached is None:
        return ""
    now = Length(values["epochs"], values["minutes"])
    rates = _rates(reached, now, values, config)
    if not changes_length(folder / LAST, reached, now, way, rates=rates):
        return ""
    return longer_text(reached, now, way, rates(way))


def _rates(
    reached: Reached, now: Length, values: Mapping[str, Any], config: Mapping[str, Any]
) -> Callable[[str], float | None]:
    """Return a function for the next learning rate of a way, which is None where only the run knows it."""
    schedule, optimizer = config.get("lr_scheduler"), config.get("optimizer")
    top, warmup = values.get("learning_rate"), values.get("warmup_epochs")
    is_known = (
        isinstance(schedule, Mapping)
        and isinstance(optimizer, Mapping)
        and str(schedule.get("_target_")).endswith("WarmupCosineSchedule")
        and isinstance(schedule.get("warmup_multiplier"), int | float)
        and optimizer.get("lr") == "@learning_rate"
        and isinstance(top, int | float)
        and (warmup is None or isinstance(warmup, int))
    )

    def rate(way: str) -> float | None:
        if not is_known or top is None or not isinstance(schedule, Mapping):
            return None
        if way == RESTART:
            return float(top)
        since = reached.restarted
        total = THOUSANDTHS if now.epochs is None else now.epochs - since[0]
        steps = round(_WARMUP_SHARE * total) if warmup is None else warmup
        position = share_done(reached, now, since) * total
        return float(top) * warmup_cosine(position, total, 0 if any(since) else steps, schedule["warmup_multiplier"])

    return rate
