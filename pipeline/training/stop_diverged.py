"""Stop a training whose loss is no longer a number."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ignite.engine import Engine, Events

from ..data.errors import InputError
from ..files import write_text

__all__ = ["DIVERGED", "StopDiverged"]

DIVERGED = "diverged.json"
# float16's gradient scaler leaves out steps that overflow, and tries again with a smaller scale.
MAX_OVERFLOWS = 20


class StopDiverged:
    """Stop a training whose loss is infinite or not a number: its weights are lost, and more epochs cannot mend them.

    The weights of earlier epochs stay. ``diverged.json`` in the training's folder has ``epoch``, ``step`` (of the
    epoch), ``loss`` as text, and ``reason``. With float16, whose scaler leaves out single steps, 20 such losses in a
    row stop it.

    Args:
        folder: the training's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / DIVERGED
        self._bad = 0

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def _start(self, engine: Engine) -> None:
        if engine.state.rank == 0:
            self.path.unlink(missing_ok=True)

    def __call__(self, engine: Engine) -> None:
        """Check the loss of the step that has just finished.

        Raises:
            InputError: it is not finite.
        """
        loss = engine.state.output["loss"].item()
        self._bad = 0 if math.isfinite(loss) else self._bad + 1
        if self._bad < (1 if engine.scaler is None else MAX_OVERFLOWS) or self._bad == 0:
            return
        epoch, steps = engine.state.epoch, engine.state.epoch_length or 1
        step = (engine.state.iteration - 1) % steps + 1
        reason = f"the loss is {loss} in epoch {epoch}, step {step} of {steps}"
        if engine.state.rank == 0:
            content = {"epoch": epoch, "step": step, "loss": str(loss), "reason": reason}
            write_text(self.path, json.dumps(content, indent=1) + "\n")
        raise InputError(
            self.path.parent,
            found=f"a training that has diverged: {reason}",
            expected="a finite loss",
            remedy="train with a smaller --learning_rate, or --precision float32; look for voxels that are not numbers "
            "with lightskip check; the weights of earlier epochs are kept",
        )
