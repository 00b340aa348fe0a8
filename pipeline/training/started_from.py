"""A training that started from other weights: what it took of them, and its frozen encoder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from torch import nn

from ..files import write_text
from .frozen_encoder import FrozenEncoder

__all__ = ["STARTED", "StartedFrom"]

STARTED = "started_from.json"

logger = logging.getLogger(__name__)


class StartedFrom:
    """Write ``started_from.json``, and keep the encoder frozen for the first epochs.

    Without weights to start from this does nothing. A resumed training reads the file that its first start wrote, and
    does not load the weights again.

    Frozen are those parameters of the encoder that were taken whole from the other weights; the rest of the encoder
    trains from the first epoch on. An epoch is a pass over the training cases, also in a training of some minutes.

    Args:
        folder: of the training.
        network: the network in training, not its wrapper for several processes.
        frozen_epochs: number of epochs; 0 freezes nothing. A resumed training keeps the number of its first start.
        resume: whether the training is resumed.
        settings: settings of the training that are written, such as its learning rate. The values must be JSON-able.
    """

    def __init__(
        self,
        folder: str | Path,
        network: nn.Module,
        *,
        frozen_epochs: int = 0,
        resume: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(folder) / STARTED
        self.network = network
        self.frozen_epochs = frozen_epochs
        self.resume = resume
        self.settings = dict(settings or {})
        self._frozen: FrozenEncoder | None = None

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, after `ResumableCheckpoint`, which moves earlier files away."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin_epoch)
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self._after_backward)
        engine.add_event_handler(Events.COMPLETED, self._end)

    def _start(self, engine: Engine) -> None:
        record = _read(self.path) if self.resume else getattr(self.network, "started_from", None)
        if not record:
            return
        if self.resume:
            self.frozen_epochs = record.get("settings", {}).get("frozen_epochs", self.frozen_epochs)
            self.network.started_from = record  # type: ignore[assignment]
        elif engine.state.rank == 0:
            write_text(self.path, json.dumps({**record, "settings": self.settings}, indent=2) + "\n")
        if engine.state.epoch < self.frozen_epochs:
            several = isinstance(engine.network, nn.parallel.DistributedDataParallel)
            self._frozen = FrozenEncoder(self.network, record["whole"], only_gradients=several)

    def _begin_epoch(self, engine: Engine) -> None:
        if self._frozen is None:
            return
        if engine.state.epoch > self.frozen_epochs:
            self._frozen.release()
            self._frozen = None
            logger.info(f"epoch {engine.state.epoch}: the encoder trains from now on")
        elif not self._frozen.is_on:
            number = self._frozen.freeze()
            last = f"up to and including epoch {self.frozen_epochs}"
            logger.info(f"epoch {engine.state.epoch}: the encoder is frozen {last} ({number} tensors)")

    def _after_backward(self) -> None:
        if self._frozen is not None:
            self._frozen.drop_gradients()

    def _end(self, engine: Engine) -> None:
        if self._frozen is not None:
            logger.warning(
                f"the training ended after {engine.state.epoch} epochs, and its encoder was frozen for "
                f"{self.frozen_epochs}: the encoder has the weights that it started from"
            )


def _read(path: Path) -> dict[str, Any]:
    """Return what the first start of a training wrote; empty if it began with new weights."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and "whole" in content else {}
