"""Do one run of a study: train it, measure it, write its result. What one job of the workflow does."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.one_at_a_time import locked_error
from ..files import write_text
from ..locks import LockedError, hold_lock
from .expand import Run
from .measure import measure_run, read_curve
from .result import (
    FORMAT,
    LaterResultError,
    damaged_file,
    find_missing,
    incomplete_file,
    read_result,
    result_file,
    write_result,
)
from .schema import Measure
from .train import train_run

__all__ = ["FAILURE", "TRAININGS", "do_run", "find_result", "set_aside_damaged"]

TRAININGS = "trainings"
FAILURE = "failure.txt"
_GIT_LINES = ("!/runs/", f"/{TRAININGS}/", "/.workflow/", "/.snakemake/", "*.incomplete", "*.damaged")


def do_run(run: Run, output: Path, wanted: Measure) -> Path:
    """Train and measure a run, as far as that is not done, and return the file of its result.

    A result of the same training in a neighbouring study's folder is taken over. One that lacks a part that this study
    wants is measured again, with the weights if they are still here, else after another training.

    Args:
        run: the run.
        output: the study's folder.
        wanted: the optional parts.

    Raises:
        InputError: the run failed, or another process works on it. ``trainings/ID/failure.txt`` has the reason.
    """
    file = result_file(output, run.id)
    folder = output / TRAININGS / run.id
    found = find_result(run, output)
    if found is not None and not find_missing(found, wanted):
        set_aside_damaged(file)
        if not file.is_file():
            write_result(file, found)
        return file
    ignore_trainings(output)
    folder.mkdir(parents=True, exist_ok=True)
    with _hold(folder):
        (folder / FAILURE).unlink(missing_ok=True)
        try:
            content = _train_and_measure(run, folder, wanted, found)
            set_aside_damaged(file)
            write_result(file, content)
            incomplete_file(file).unlink(missing_ok=True)
        except KeyboardInterrupt:
            raise
        except InputError as error:
            _keep_reason(folder, f"{error}\n")
            raise
        except BaseException:
            _keep_reason(folder, traceback.format_exc())
            raise
    return file


def _keep_reason(folder: Path, text: str) -> None:
    # On a full disk the error itself says more than that its reason could not be written.
    with suppress(OSError):
        write_text(folder / FAILURE, text)


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Let only one process do a run."""
    try:
        # Beside the folder: a training that starts again empties it.
        with hold_lock(folder.with_name(f".{folder.name}.lock"), verb="lightskip study --run"):
            yield
    except LockedError as error:
        raise locked_error(folder, error, verb="lightskip study --run") from error


def find_result(run: Run, output: Path, unread: dict[Path, str] | None = None) -> dict[str, Any] | None:
    """Return the result of a run, from the study's folder or else from a neighbouring study's; None if there is none.

    The same training has one digest at the end of its name, whatever its labels. Unreadable files are left out.

    Args:
        run: the run.
        output: the study's folder.
        unread: gets what was found in each file that cannot be read.

    Raises:
        LaterResultError: a later version of LightSkip wrote the result in the study's folder.
    """
    own = result_file(output, run.id)
    digest = run.id.rpartition("_")[2]
    others = [path for path in (output / "runs").glob(f"*_{digest}.json") if path != own]
    # A result that lacks a part is better than none, as long as that part could not be measured.
    ours = [file for file in (own, *others, incomplete_file(own)) if file.is_file()]
    theirs = [file for file in sorted(_list_neighbours(output, digest)) if file not in ours]
    for file in [*ours, *theirs]:
        try:
            content = _rename(read_result(file), run)
        except InputError as error:
            if isinstance(error, LaterResultError) and file in ours:
                raise
            if unread is not None:
                unread[file] = error.found
            continue
        return content if file in ours else content | {"from_study": file.parents[1].name}
    return None


def _list_neighbours(output: Path, digest: str) -> Iterator[Path]:
    """Yield the results of one training in the folders next to a study's."""
    own = output.absolute()
    yield from (file for file in own.parent.glob(f"*/runs/*_{digest}.json") if file.parents[1] != own)


def set_aside_damaged(file: Path) -> None:
    """Rename a result that cannot be read, so that another one can take its place and nothing is lost."""
    if not file.is_file():
        return
    try:
        read_result(file)
    except LaterResultError:
        raise
    except InputError:
        file.replace(damaged_file(file))


def ignore_trainings(output: Path) -> None:
    """Keep the trainings out of git, and the results in: weights are large, and the results are what counts.

    Many repositories ignore every folder `runs`, as this one does. A file in a deeper folder overrules that.
    """
    file = output / ".gitignore"
    present = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    missing = [line for line in _GIT_LINES if line not in present]
    if missing:
        write_text(file, "".join(f"{line}\n" for line in [*present, *missing]))


def _rename(content: dict[str, Any], run: Run) -> dict[str, Any]:
    """Return a result with the name and labels that it has in this study."""
    labels = {key: run.settings[key] for key in ("network", "skip")}
    return content | {"id": run.id, "settings": {**content["settings"], **labels}}


def _train_and_measure(run: Run, folder: Path, wanted: Measure, earlier: Mapping[str, Any] | None) -> dict[str, Any]:
    trained = train_run(run, folder)
    content: dict[str, Any] = {
        "format": FORMAT,
        "id": run.id,
        "settings": dict(run.settings),
        "state": trained["state"],
        "reason": trained["reason"],
    }
    if trained["state"] == "diverged":
        return content | {"curve": read_curve(folder)}
    kept = {key: value for key, value in (earlier or {}).items() if key not in content and key != "from_study"}
    content |= kept
    content |= measure_run(run, folder, wanted, find_missing(content, wanted))
    content["cost"] = content["cost"] | {
        key: trained[key] for key in ("training_seconds", "training_resident_bytes") if trained.get(key) is not None
    }
    return content
