"""Errors for users in place of those of a training that ran out of memory or lost one of its processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ignite.engine import Engine

from ..data.errors import InputError, removed_folder_error
from ..data.faults import explain_fault, is_dead_worker, is_explained, is_out_of_memory, name_next_cases
from .distributed import has_lost_another, wait_for_end
from .earlier_files import LAST
from .step_cases import name_step_cases, name_waiting_cases

__all__ = ["explain_training", "explain_validation", "is_handled"]


def is_handled() -> bool:
    """Return whether the error that is handled gets a message of its own, printed once at the end of the run."""
    error = sys.exc_info()[1]
    return error is not None and (is_explained(error) or has_lost_another(error))


def explain_training(engine: Engine, error: BaseException, folder: Path) -> InputError | None:
    """Return the error for users of a training step that failed; None for one that is no fault of this kind.

    Args:
        engine: the trainer.
        error: what was raised.
        folder: of the training.
    """
    if has_lost_another(error):
        # The process that failed has said why, or whoever started it does.
        wait_for_end()
        return InputError(
            folder,
            found=f"another process of this training that has ended ({' '.join(str(error).split())[:120]})",
            expected="all processes until the end",
            remedy=f"see its message above; {_name_kept(folder)}",
        )
    gone = removed_folder_error()
    if gone is not None:
        return gone
    state = engine.state
    length = state.epoch_length or 1
    step = state.iteration - getattr(state, "epoch_start", (state.iteration - 1) // length * length)
    lost = _find_lost(error, folder)
    if lost is not None:
        return InputError(
            lost,
            found="no such file or folder, which this training has made",
            expected="the training's folder until the end: something else has removed it",
            remedy=f"leave the folder alone meanwhile; {_name_kept(folder)}",
        )
    is_worker = is_dead_worker(error)
    if not is_worker and not is_out_of_memory(error):
        return None
    cases = name_waiting_cases(engine, step + 1) if is_worker else name_step_cases(engine, step)
    batch = getattr(engine.data_loader, "batch_size", None)
    return explain_fault(
        error,
        where=folder,
        cases=cases,
        doing=f"training in epoch {state.epoch}, step {step + is_worker} of {length}",
        memory_remedy=f"set --batch to fewer than {batch} cases per step"
        f"{', --samples_per_case 1' if (batch or 0) < 2 else ''}, a smaller patch in plan.yaml, or --num_workers 0; or "
        f"let lightskip plan choose them: --memory SIZE; {_name_kept(folder)}",
    )


def explain_validation(engine: Engine, error: BaseException, folder: Path) -> InputError | None:
    """Return the error for users of a validation that failed, as `explain_training` does of a step."""
    state = engine.state
    is_worker = is_dead_worker(error)
    workers = int(getattr(engine.data_loader, "num_workers", 0))
    done = state.iteration if is_worker else max(state.iteration - 1, 0)
    return explain_fault(
        error,
        where=folder,
        cases=name_next_cases(engine.data_loader, done, more=max(workers - 1, 0) if is_worker else 0),
        doing=f"validating epoch {state.epoch}",
        memory_remedy="set a smaller --window, or --train#dataset#cache_rate 0, which keeps no cases in memory; or let "
        f"lightskip plan choose: --memory SIZE; {_name_kept(folder)}",
    )


def _find_lost(error: BaseException, folder: Path) -> Path | None:
    """Return the file in a folder that an error says is not there; None if it says something else."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or one.__context__
    names = [one.filename for one in chain if isinstance(one, FileNotFoundError) and one.filename is not None]
    files = [Path(os.path.abspath(os.fsdecode(name))) for name in names]  # noqa: PTH100 - links keep their names
    within = os.path.abspath(folder)  # noqa: PTH100
    return next((file for file in files if file.is_relative_to(within)), None)


def _name_kept(folder: Path) -> str:
    last = folder / LAST
    return f"continue with --resume from {last}" if last.is_file() else "nothing was saved yet: start it again"
