"""Resume a training with another length: the ways to do it, the learning rates, and what is refused.

Needs neither torch nor MONAI, so that a mistake is reported before they are imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError

__all__ = [
    "AIM",
    "LEAST",
    "RESTART",
    "STRETCH",
    "WAYS",
    "Length",
    "Reached",
    "changes_length",
    "format_rate",
    "longer_text",
    "refuse_longer_alone",
    "share_done",
    "warmup_cosine",
]

STRETCH, RESTART = "stretch", "restart"
WAYS = {
    STRETCH: "the schedule of a training that was planned for this length from its start",
    RESTART: "a warm restart: a new cosine from learning_rate to 0 over what is added",
}
# Shares of the given minutes. A training aims to end at AIM; it may end as early as LEAST.
AIM, LEAST = 0.99, 0.95
THOUSANDTHS = 1000  # steps of a schedule that follows the clock


@dataclass(frozen=True)
class Length:
    """The planned length of a training, from its start; it ends with whichever is reached first.

    Attributes:
        epochs: number of epochs; None if only the minutes count.
        minutes: time limit; None for none.
    """

    epochs: int | None
    minutes: float | None

    def __str__(self) -> str:
        parts = [] if self.epochs is None else [f"{self.epochs} epoch{'s' * (self.epochs != 1)}"]
        return " or ".join([*parts, *([] if self.minutes is None else [f"{self.minutes:g} minutes"])])

    @property
    def words(self) -> str:
        """The options that set it."""
        parts = [] if self.epochs is None else [f"--epochs {self.epochs}"]
        return " ".join([*parts, *([] if self.minutes is None else [f"--minutes {self.minutes:g}"])])


@dataclass(frozen=True)
class Reached:
    """What a training has done, from ``last.pt`` or ``training.json``.

    Attributes:
        length: its planned length.
        epoch: epochs done.
        seconds: seconds used, of a training with a time limit.
        rate: learning rate of its latest step; None if it is not known.
        changes: earlier changes of its length: see `change`.
    """

    length: Length
    epoch: int
    seconds: float = 0.0
    rate: float | None = None
    changes: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def read(cls, known: Mapping[str, Any]) -> Reached | None:
        """Return what a mapping says that `record` filled; None if it is of a version before."""
        length = known.get("length")
        if length is None:
            return None
        return cls(
            Length(length["epochs"], length["minutes"]),
            int(known["epoch"] if "epoch" in known else known["epochs"]),
            float(known.get("seconds") or 0.0),
            known.get("rate"),
            tuple(known.get("lengthened", ())),
        )

    def record(self) -> dict[str, Any]:
        """Return the JSON-able entries that `read` needs, without the number of epochs done."""
        known: dict[str, Any] = {"length": {"epochs": self.length.epochs, "minutes": self.length.minutes}}
        known |= {} if self.rate is None else {"rate": float(f"{self.rate:.6g}")}
        known |= {"seconds": round(self.seconds, 3)} if self.length.minutes is not None else {}
        return known | ({"lengthened": [dict(one) for one in self.changes]} if self.changes else {})

    def change(self, to: Length, way: str, rate: float | None) -> dict[str, Any]:
        """Return the record of a change of the length: where, how, from and to what, rate before and after."""
        return {
            "after_epoch": self.epoch,
            "after_seconds": round(self.seconds, 3),
            "way": way,
            "from": {"epochs": self.length.epochs, "minutes": self.length.minutes},
            "to": {"epochs": to.epochs, "minutes": to.minutes},
            "rate_before": self.rate,
            "rate_after": rate,
        }

    @property
    def restarted(self) -> tuple[int, float]:
        """Epoch and seconds after which the schedule was restarted last; 0 and 0 if never."""
        last = [one for one in self.changes if one["way"] == RESTART]
        return (int(last[-1]["after_epoch"]), float(last[-1]["after_seconds"])) if last else (0, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether it has come to its planned length."""
        by_clock = self.length.minutes is not None and self.seconds >= LEAST * 60 * self.length.minutes
        return by_clock or (self.length.epochs is not None and self.epoch >= self.length.epochs)


def refuse_longer_alone(way: str | None, *, resume: bool, where: str | Path) -> None:
    """Raise InputError if a way to lengthen a training is named for a new one."""
    if way is not None and not resume:
        raise InputError(
            where,
            found=f"longer {way} of a new training",
            expected="a training that is resumed",
            remedy="add --resume, or leave --longer out",
        )


def changes_length(
    where: str | Path, reached: Reached, now: Length, way: str | None, *, rates: Callable[[str], float | None]
) -> bool:
    """Return whether a resume changes the length of a training, and check that the user named how.

    Args:
        where: the training's file, for the message.
        reached: what it has done.
        now: its length from now on.
        way: a key of `WAYS`; None if the user named none.
        rates: returns the next learning rate of a way; None if it is not known.

    Raises:
        InputError: the length changes and no way is named, or one that cannot be; or a way is named and the length
            stays; or nothing of the new length is left.
    """
    if now == reached.length:
        if way is None or (reached.changes and reached.changes[-1]["way"] == way):
            return False
        raise InputError(
            where,
            found=f"--longer {way}, and the length that the training has already: {now}",
            expected="another length",
            remedy="set --epochs N or --minutes N, or leave --longer out",
        )
    done = f"{reached.epoch} epoch{'s' * (reached.epoch != 1)}" + (
        "" if reached.length.minutes is None else f" in {reached.seconds / 60:.3g} minutes"
    )
    if Reached(now, reached.epoch, reached.seconds).is_over:
        raise InputError(
            where,
            found=f"a length of {now}, and {done} done",
            expected="a length that the training has not reached",
            remedy="set more --epochs or --minutes: they count from the start of the training",
        )
    without_clock = now.minutes is not None and reached.length.minutes is None
    if way is None:
        ways = [one for one in WAYS if not (without_clock and one == STRETCH)]
        before = "" if reached.rate is None else f", the learning rate at {format_rate(reached.rate)}"
        raise InputError(
            where,
            found=f"a training of {reached.length} ({done} done{before}), and now {now}",
            expected="the same length, or the way to change it",
            remedy=f"resume with {reached.length.words}"
            + "".join(f"; or add --longer {one} ({WAYS[one]}{_next_text(rates(one))})" for one in ways),
        )
    if way == STRETCH and without_clock:
        raise InputError(
            where,
            found=f"--longer {STRETCH} with a time limit, of a training that had none ({reached.length})",
            expected="minutes of the earlier part, to know which share of the time it took",
            remedy=f"use --longer {RESTART}, or set --epochs N instead of minutes",
        )
    return True


def share_done(reached: Reached, now: Length, since: tuple[int, float] = (0, 0.0)) -> float:
    """Return the share of a schedule of this length that is done, 0 to 1.

    Args:
        reached: what the training has done.
        now: its length.
        since: epoch and seconds where the schedule starts.
    """
    epoch, seconds = since
    shares = [0.0]
    if now.epochs is not None:
        shares.append((reached.epoch - epoch) / max(now.epochs - epoch, 1))
    if now.minutes is not None:
        shares.append((reached.seconds - seconds) / max(AIM * 60 * now.minutes - seconds, 1e-9))
    return min(max(shares), 1.0)


def warmup_cosine(position: float, total: int, warmup: int, multiplier: float) -> float:
    """Return the share of the top rate after a number of steps, as ``monai.optimizers.WarmupCosineSchedule`` does."""
    warmup = min(max(warmup, 0), total)
    if position < warmup:
        return multiplier + (1 - multiplier) * position / max(1.0, warmup)
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * (position - warmup) / max(1, total - warmup))))


def longer_text(reached: Reached, now: Length, way: str, rate: float | None) -> str:
    """Return a line that says what changes: the length, the last and the next learning rate."""
    before = "unknown" if reached.rate is None else format_rate(reached.rate)
    after = "unknown" if rate is None else format_rate(rate)
    return (
        f"longer ({way}): {now} instead of {reached.length}, from epoch {reached.epoch + 1} on; "
        f"learning rate {before} in the last step, {after} in the next; {WAYS[way]}"
    )


def format_rate(rate: float) -> str:
    """Return a learning rate as text."""
    return f"{rate:.3g}"


def _next_text(rate: float | None) -> str:
    return "" if rate is None else f", next rate {format_rate(rate)}"
