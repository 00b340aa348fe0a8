"""A learning rate that changes with every step, for `accuracy.py`: a handler in the place of MONAI's.

The command has `PYTHONPATH=benchmarks` before it, and its arm `--train#handlers#7#_target_ rates.RateByStep`.
"""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events

__all__ = ["RateByStep"]


class RateByStep:
    """Raise the learning rate linearly, then lower it linearly to zero at the last step.

    Args:
        lr_scheduler: has the peak rates in ``base_lrs``, and the number of epochs in ``t_total``.
        warm: epochs until the peak, above 0.
        print_lr: not used; ``LrScheduleHandler`` has it.
    """

    def __init__(self, lr_scheduler: Any, warm: float = 0.5, *, print_lr: bool = False) -> None:  # noqa: ARG002
        self.lr_scheduler = lr_scheduler
        self.warm = warm

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer."""
        engine.add_event_handler(Events.ITERATION_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Set the rate of the step that begins."""
        epochs = (engine.state.iteration - 1) / engine.state.epoch_length
        left = (self.lr_scheduler.t_total - epochs) / (self.lr_scheduler.t_total - self.warm)
        share = max(min(epochs / self.warm, left), 0.01 if epochs < self.warm else 0.0)
        for group, peak in zip(engine.optimizer.param_groups, self.lr_scheduler.base_lrs, strict=True):
            group["lr"] = share * peak
