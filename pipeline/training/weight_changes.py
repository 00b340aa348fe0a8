"""Record how much each layer's weights change per epoch."""

from __future__ import annotations

from pathlib import Path

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

from ..data.table_errors import explain_table
from ..files import write_text
from ..spreadsheet import format_table, read_rows

__all__ = ["CHANGES", "WeightChanges"]

CHANGES = "weight_changes.csv"


class WeightChanges:
    """Write the mean absolute change of each layer's weights per epoch to ``weight_changes.csv``.

    Drozdzal et al. (arXiv 1608.04117) show with this number which layers of a deep network learn. A layer's change is
    ``mean(abs(w_end - w_start))`` over the elements of its kernel, from the start to the end of an epoch. Biases,
    normalisations and other vectors are left out; selection weights (one number per channel) too.

    The columns are the epoch and the layers, in the order of the network's parameters. The file is written whole after
    each epoch. A resumed training keeps the rows of the epochs before it.

    Args:
        folder: where to write.
        network: the network in training, not its wrapper for several processes.
    """

    def __init__(self, folder: str | Path, network: nn.Module) -> None:
        self.path = Path(folder) / CHANGES
        self._kernels = {
            name.removesuffix(".weight"): parameter
            for name, parameter in network.named_parameters()
            if parameter.dim() > 1 and parameter.requires_grad
        }
        self._before: dict[str, Tensor] = {}
        self._rows: list[dict[str, str]] = []

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer."""
        if engine.state.rank != 0:
            return
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._end)

    def _begin(self, engine: Engine) -> None:
        if not self._rows and engine.state.epoch > 1:
            self._rows = self._read(engine.state.epoch)
        self._before = {name: kernel.detach().clone() for name, kernel in self._kernels.items()}

    @torch.no_grad()
    def _end(self, engine: Engine) -> None:
        changes = {name: (kernel - self._before[name]).abs().mean() for name, kernel in self._kernels.items()}
        self._before = {}
        self._rows.append(
            {"epoch": str(engine.state.epoch), **{name: f"{float(change):.4g}" for name, change in changes.items()}}
        )
        columns = ["epoch", *self._kernels]
        write_text(self.path, format_table(columns, ([row[name] for name in columns] for row in self._rows)))

    def _read(self, epoch: int) -> list[dict[str, str]]:
        """Return the rows of the epochs before this one, of a training that resumes; none of another network."""
        if not self.path.is_file():
            return []
        with explain_table(self.path), self.path.open(newline="", encoding="utf-8") as file:
            _, rows = read_rows(file)
        return [row for row in rows if row.keys() == {"epoch", *self._kernels} and int(row["epoch"]) < epoch]
