"""What a run has done: ``fit.json`` in its folder, and the comparison of a second start with the first."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.json_file import load_json
from ..data.one_at_a_time import locked_error, take_over
from ..files import write_text
from ..locks import LockedError, hold_lock
from .options import OPTIONS, FitOptions
from .steps import BUNDLE, Step

__all__ = ["FILE", "State", "lock_run", "open_state"]

FILE = "fit.json"
_LOCK = ".fit.lock"
_VERB = "lightskip fit"
_ORDER = ("datalist", "check", "plan", "train", "evaluate", "compare", "ensemble", "report")
# The first step that an option of `fit` itself changes.
_OWN = {"source": "datalist", "hours": "plan", "folds": "plan", "name": "plan", "final": "plan"}


@dataclass
class State:
    """The options and the finished steps of a run; each change is written at once.

    Attributes:
        folder: the run's folder.
        options: the options of the first start, as `FitOptions.record` returns them.
        steps: by the step's name: its kind, its command, its seconds over all starts, whether it is done.
    """

    folder: Path
    options: dict[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    def is_done(self, step: Step) -> bool:
        """Return whether a step has been done, and its output is still there."""
        return bool(self.steps.get(step.name, {}).get("done")) and step.is_there

    def add(self, step: Step, command: str, seconds: float, *, done: bool) -> None:
        """Record that a step ran."""
        earlier = float(self.steps.get(step.name, {}).get("seconds", 0.0))
        self.steps[step.name] = {
            "kind": step.kind,
            "command": command,
            "seconds": round(earlier + seconds, 2),
            "done": done,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.write()

    def forget(self, *kinds: str) -> None:
        """Let the steps of these kinds run again at the next start."""
        for step in self.steps.values():
            if step["kind"] in kinds:
                step["done"] = False
        self.write()

    def write(self) -> None:
        """Write ``fit.json``."""
        content = {"options": self.options, "steps": self.steps}
        write_text(self.folder / FILE, json.dumps(content, indent=1) + "\n")


def open_state(options: FitOptions) -> State:
    """Return the state of a run: that of an earlier start with the same options, or a new one.

    An option may change as long as no step that it changes is done.

    Raises:
        InputError: the folder cannot be used, or an earlier start had other options.
    """
    folder, given = options.output, options.record()
    file = folder / FILE
    if not file.is_file():
        _require_new(folder)
        return State(folder, given)
    try:
        content = load_json(file)
        state = State(folder, dict(content["options"]), dict(content["steps"]))
        if not all(map(_is_step, state.steps.values())):
            raise ValueError("not a step")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            file,
            found=f"a file that cannot be read as the state of a run ({type(error).__name__})",
            expected="the file that lightskip fit writes",
            remedy="name another folder: -o RUN; or delete this file, datalist.json, check and bundle next to it",
        ) from error
    _compare(state, given)
    state.options = given
    return state


def _is_step(step: Any) -> bool:
    types = {"kind": str, "command": str, "seconds": int | float, "done": bool}
    return all(isinstance(step[key], kind) for key, kind in types.items()) and step["kind"] in _ORDER


def _require_new(folder: Path) -> None:
    found = ""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        found = "a file" if existing == folder.absolute() else f"a file among its parent folders: {existing}"
    elif not os.access(existing, os.W_OK | os.X_OK):
        found = f"no permission to write into {existing}"
    elif folder.is_dir() and any(path.name != _LOCK for path in folder.iterdir()):
        found = "a folder with other files"
    if found:
        raise InputError(
            folder,
            found=found,
            expected="a new or empty folder, or one of an earlier lightskip fit",
            remedy="name another one: -o RUN",
        )


def _compare(state: State, given: Mapping[str, Any]) -> None:
    """Raise InputError if an option has changed and a step that it changes is done and still there."""
    first = {option.name: option.steps[0] for option in OPTIONS} | _OWN
    flags = {option.name: option.flag for option in OPTIONS} | {
        "fold_count": "--fold-count",
        "source": "DATASET",
        "final": "--fold all:",
    }
    before = state.options
    differing = [name for name in first if before.get(name) != given.get(name)]
    done = [step["kind"] for step in state.steps.values() if step["done"] and _has_output(state.folder, step["kind"])]
    late = [name for name in differing if any(_ORDER.index(kind) >= _ORDER.index(first[name]) for kind in done)]
    if not late:
        return
    words = "; ".join(
        f"{flags.get(name, f'--{name}')} {_text(given.get(name))}, and {_text(before.get(name))} in the first start"
        for name in late
    )
    from_step = min((first[name] for name in late), key=_ORDER.index)
    folder = state.folder
    # All that a plan changes is in the bundle.
    delete, kept = {
        "plan": (f"{folder / BUNDLE}", f" ({folder / 'datalist.json'} and {folder / 'check'} are kept)"),
        "train": (f"{folder / BUNDLE / 'runs'}", f" ({folder / BUNDLE / 'plan.yaml'} is kept)"),
    }.get(from_step, (f"{folder}", ""))
    raise InputError(
        folder,
        found=f"another run: {words}",
        expected="the options of the first start, which this command continues",
        remedy=f"repeat these; or name another folder: -o RUN; or delete {delete} and start again{kept}",
    )


def _has_output(folder: Path, kind: str) -> bool:
    """Return whether what a kind of step writes is in the run's folder, so that deleting it undoes the step."""
    place = {"datalist": "datalist.json", "check": "check", "plan": BUNDLE, "train": f"{BUNDLE}/runs"}
    return (folder / place.get(kind, f"{BUNDLE}/runs")).exists()


def _text(value: Any) -> str:
    if value is None:
        return "not given"
    return (
        " ".join(map(str, value))
        if isinstance(value, list | tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


@contextmanager
def lock_run(folder: Path) -> Iterator[tuple[int, ...]]:
    """Let only one `lightskip fit` work in a folder.

    Yields:
        File descriptors that hold the lock; see `hold_lock`.

    Raises:
        InputError: another one works there, or the folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            locks = stack.enter_context(hold_lock(folder / _LOCK, verb=_VERB, **take_over(folder, verb=_VERB)))
            stack.callback(_remove_if_unused, folder)
        except LockedError as error:
            raise locked_error(folder, error, verb=_VERB, or_else="a step of one that was killed") from error
        except OSError as error:
            raise InputError(
                folder,
                found=f"a folder that cannot be written to ({str(error.strerror).lower()})",
                expected="a folder for the run",
                remedy="name another one: -o RUN",
            ) from error
        yield locks


def _remove_if_unused(folder: Path) -> None:
    """Remove the folder if it has nothing but the lock."""
    with contextlib.suppress(OSError):
        if not any(path.name != _LOCK for path in folder.iterdir()):
            (folder / _LOCK).unlink()
            folder.rmdir()
