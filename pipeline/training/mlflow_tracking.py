"""Track a training in MLflow with MONAI's handler: one run per training, which a resume continues."""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.handlers import MLFlowHandler

from ..files import write_text
from ..leftovers import temporary_folder
from .earlier_files import HISTORY, RUN
from .summary import SUMMARY

__all__ = ["MLFlowTracking"]

logger = logging.getLogger(__name__)

_MAX_VALUE = 6000  # characters of a parameter's value, MLflow's own limit
_LOSS = "train_loss"
_NO_METRICS = ("epoch", "longer")


class MLFlowTracking(MLFlowHandler):
    """Write a training's parameters, metrics and files to MLflow, through MONAI's ``MLFlowHandler``.

    - Metrics, per epoch: the columns of ``history.csv``, so loss, learning rate, and Dice of all labels and of each.
    - Parameters: the mapping that the config passes, flattened: ``network.channels``.
    - Artefacts, at the end: ``history.csv``, ``training.json``, the named `files`, and those that `draw` makes.

    ``mlflow.json`` in the training's folder names the run. A resumed training continues it, and any other training
    starts a new one. A resume that finds no run starts one with the epochs of ``history.csv``. An interrupted run has
    MLflow's status KILLED until it is resumed.

    The store is SQLite next to the trainings, unless `tracking_uri` or the variable MLFLOW_TRACKING_URI names another.
    No server is started.

    Args:
        folder: the training's folder, with ``history.csv``.
        tracking_uri: address of the store.
        experiment_name: MLflow's experiment: the bundle.
        run_name: name of the run.
        parameters: settings of the training; mappings in it are flattened.
        files: files to keep as artefacts; those that do not exist are left out.
        draw: draws pictures and pages of a training's folder into another folder, and returns their files.
        resume: whether the training continues an earlier one.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        tracking_uri: str,
        experiment_name: str,
        run_name: str,
        parameters: Mapping[str, Any],
        files: Sequence[str | Path] = (),
        draw: Callable[[Path, Path], Sequence[Path]] | None = None,
        resume: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.files = [Path(file) for file in files]
        self.draw = draw
        self.resume = resume
        self.parameters = dict(_flatten(parameters))
        _make_folder(tracking_uri)
        super().__init__(
            tracking_uri=tracking_uri,
            experiment_name=experiment_name,
            run_name=run_name,
            iteration_log=False,
            epoch_logger=self._log_epochs,
        )
        self._logged = 0

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, before `Progress`, whose handler of an error ends all others."""
        engine.add_event_handler(Events.STARTED, self._register)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._stop)

    def _register(self, engine: Engine) -> None:
        """Register the rest at the start, behind all other handlers: they write the files that are read here."""
        if engine.has_event_handler(self._begin, Events.EPOCH_STARTED):
            return
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.epoch_completed)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _begin(self, engine: Engine) -> None:
        """Find or start the run in the training's first epoch, when earlier files are read or moved aside."""
        if self.cur_run is not None:
            return
        self.cur_run: Any
        self._set_experiment()
        earlier = self._find_run() if self.resume else None
        if earlier is None:
            self.cur_run = self.client.create_run(self.experiment.experiment_id, run_name=self.run_name)
            self.experiment_param = self.parameters
        else:
            self.cur_run = earlier
            self.client.update_run(earlier.info.run_id, status="RUNNING")
            self.experiment_param = self._new_parameters(earlier.data.params)
            self._logged = min(self._last_step(), engine.state.epoch - 1)
        content = {"run_id": self.cur_run.info.run_id, "tracking_uri": self.client.tracking_uri}
        write_text(self.folder / RUN, json.dumps(content, indent=2) + "\n")
        self.start(engine)
        logger.info(f"tracked by MLflow: run {self.run_name} of {self.experiment_name} in {self.client.tracking_uri}")

    def _find_run(self) -> Any:
        """Return the run of the training that is resumed; None if it has none in this store."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        try:
            run_id = json.loads((self.folder / RUN).read_text(encoding="utf-8"))["run_id"]
            return self.client.get_run(run_id)
        except (OSError, ValueError, KeyError, MlflowException):
            return None

    def _new_parameters(self, known: Mapping[str, str]) -> dict[str, Any]:
        """Return the parameters that the run does not have; MLflow's cannot change, so changed ones become tags."""
        for name, value in self.parameters.items():
            if name in known and known[name] != str(value):
                self.client.set_tag(self.cur_run.info.run_id, f"resumed.{name}", str(value))
        return {name: value for name, value in self.parameters.items() if name not in known}

    def _last_step(self) -> int:
        steps = (one.step for one in self.client.get_metric_history(self.cur_run.info.run_id, _LOSS))
        return max(steps, default=0)

    def _log_epochs(self, _engine: Engine) -> None:
        """Log the rows of ``history.csv`` that the run does not have yet."""
        with (self.folder / HISTORY).open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["epoch"]) > self._logged]
        for row in rows:
            numbers = {_clean(name): float(text) for name, text in row.items() if name not in _NO_METRICS and text}
            # NaN is the Dice of a label that no case has.
            self._log_metrics({name: value for name, value in numbers.items() if isfinite(value)}, int(row["epoch"]))
            self._logged = int(row["epoch"])

    def _finish(self, _engine: Engine) -> None:
        if self.cur_run is None:
            return
        with temporary_folder() as scratch:
            files = [self.folder / HISTORY, self.folder / SUMMARY, *self.files]
            if self.draw is not None:
                files += self.draw(self.folder, scratch)
            self.artifacts = tuple(str(file) for file in files if file.is_file())
            self.complete()
        self.close()

    def _stop(self, _engine: Engine, error: BaseException) -> None:
        """Note in the run that the training was interrupted or failed. The engine's next handler raises the error."""
        if self.cur_run is not None:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            self.client.set_terminated(self.cur_run.info.run_id, status)
            self.cur_run = None


def _make_folder(tracking_uri: str) -> None:
    """Make the folder of a SQLite file, which MLflow does not make."""
    if tracking_uri.startswith("sqlite:///"):
        Path(tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the names and values of nested mappings, with the names in one line: ``network.channels``."""
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{prefix}{_clean(str(key))}"
        flat += _flatten(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value)[:_MAX_VALUE])]
    return flat


def _clean(name: str) -> str:
    """Return a name with the characters that MLflow accepts."""
    return re.sub(r"[^\w\-. :/]", "_", name)
