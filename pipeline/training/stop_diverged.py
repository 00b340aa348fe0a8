"""Stop a training whose loss or weights are no longer numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ignite.engine import Engine, Events

from ..data.errors import InputError
from ..data.faults import name_items
from ..data.finite_weights import find_not_finite
from ..files import write_text
from .distributed import let_first_speak
from .earlier_files import LAST
from .step_cases import find_broken_images, name_step_cases

__all__ = ["DIVERGED", "StopDiverged"]

DIVERGED = "diverged.json"
# float16's gradient scaler leaves out steps that overflow, and tries again with a smaller scale.
MAX_OVERFLOWS = 20


class StopDiverged:
    """Stop a training whose loss or weights are infinite or not a number: more epochs cannot mend the weights.

    The loss is checked in every step, where it is read anyway, to show it. The weights are checked at
    the end of each epoch, before they are validated and saved, since the last step's loss is that of the weights before
    it. The files of earlier epochs stay. ``diverged.json`` in the training's folder has ``epoch``, ``step`` (of the
    epoch), ``loss`` as text, ``learning_rate``, ``cases`` (names of the step's images) and ``reason``. With float16,
    whose scaler leaves out single steps, 20 such losses in a row stop it.

    Of several processes, whose loss is one and the same, the first one reports.

    Args:
        folder: the training's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / DIVERGED
        self._bad = 0

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, before the handlers that validate and save."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._check_weights)

    def _start(self, engine: Engine) -> None:
        if engine.state.rank == 0:
            self.path.unlink(missing_ok=True)

    def _start_epoch(self, engine: Engine) -> None:
        # An epoch that a time limit cuts short has fewer steps than the others.
        engine.state.epoch_start = engine.state.iteration

    def __call__(self, engine: Engine) -> None:
        """Check the loss of the step that has just finished.

        Raises:
            InputError: it is not finite.
        """
        loss = engine.state.output["loss"].item()
        self._bad = 0 if math.isfinite(loss) else self._bad + 1
        if self._bad < (1 if engine.scaler is None else MAX_OVERFLOWS) or self._bad == 0:
            return
        self._stop(engine, str(loss), f"the loss is {loss}")

    def _check_weights(self, engine: Engine) -> None:
        network = getattr(engine, "network", None)
        name = None if network is None else find_not_finite(network.state_dict())
        # The checkpoint need not look again.
        engine.state.finite_epoch = engine.state.epoch
        if name is not None:
            loss = str(engine.state.output["loss"].item())
            self._stop(engine, loss, f"the weights are not finite, first in {name.removeprefix('module.')},")

    def _stop(self, engine: Engine, loss: str, what: str) -> None:
        let_first_speak(engine)
        epoch, steps = engine.state.epoch, engine.state.epoch_length or 1
        step = engine.state.iteration - engine.state.epoch_start
        optimizer = getattr(engine, "optimizer", None)
        rate = None if optimizer is None else float(optimizer.param_groups[0]["lr"])
        cases = name_step_cases(engine, step) if hasattr(engine, "data_loader") else []
        broken = find_broken_images(engine, step) if cases else []
        reason = f"{what} in epoch {epoch}, step {step} of {steps}"
        if engine.state.rank == 0:
            content = {"epoch": epoch, "step": step, "loss": loss, "learning_rate": rate}
            write_text(self.path, json.dumps({**content, "cases": cases, "reason": reason}, indent=1) + "\n")
        known = [*([name_items(cases)] if cases else []), *([] if rate is None else [f"learning rate {rate:g}"])]
        where = f" ({'; '.join(known)})" if known else ""
        last = self.path.with_name(LAST)
        kept = (
            f"the last finite weights are in {last}: continue from them with --resume and a smaller --learning_rate"
            if last.is_file()
            else "no epoch was finished, so nothing was saved"
        )
        if broken:
            raise InputError(
                self.path.parent,
                found=f"voxels that are NaN or infinite in {name_items(broken)}: {reason}{where}",
                expected="scans with numbers in every voxel",
                remedy="find them with lightskip check, and replace them; do not train with --check_data False; "
                f"{kept}",
            )
        raise InputError(
            self.path.parent,
            found=f"a training that has diverged: {reason}{where}",
            expected="a finite loss and finite weights",
            remedy="train with a smaller --learning_rate, or --precision float32; look for voxels that are not numbers "
            f"with lightskip check; {kept}",
        )
