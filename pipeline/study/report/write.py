"""Write the report of a study: a page, Markdown, two tables and JSON, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ...data.errors import InputError
from ...files import whole_file
from ..check_result import check_result
from .content import make_content
from .data_files import format_arms, format_json, format_runs
from .origin import Given
from .page import write_page_of_study
from .text import format_markdown

__all__ = ["FILES", "write_study_report"]

FILES = ("study.html", "study.md", "study.csv", "study_runs.csv", "study.json")
"""The files of a report. ``study.csv`` has a row per arm, ``study_runs.csv`` a row per run."""


def write_study_report(
    output: Path,
    *,
    study: Mapping[str, Any],
    study_text: str,
    study_sha256: str,
    runs: Sequence[Mapping[str, Any]],
    failed: Sequence[Mapping[str, Any]] = (),
    missing: Sequence[Mapping[str, Any]] = (),
    left_over: Sequence[str] = (),
    reused: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write what a study shows. The same input gives the same bytes.

    Args:
        output: the folder to write to, made if missing.
        study: the parsed study file: ``name``, ``question``, ``baseline``, ``seeds``, ``folds``, ``budget``, ``arms``.
        study_text: the study file as text.
        study_sha256: its hash.
        runs: the JSON of every run that ended, and of every run that diverged (``state``).
        failed: runs without a result: ``id``, ``settings`` and ``reason``.
        missing: runs that have not been started, or have not ended: ``id`` and ``settings``.
        left_over: run files that no longer fit the study file: the name, and what differs. They are listed and not
            counted.
        reused: name of the study that a run was taken from, by the run's id.

    Returns:
        The files: `FILES`.

    Raises:
        InputError: a run's numbers do not fit each other, or a file cannot be written.
    """
    _check_runs(runs)
    given = Given(study, study_text, study_sha256, runs, failed, missing, left_over, reused or {})
    content = make_content(given)
    texts = {
        "study.md": format_markdown(content),
        "study.csv": format_arms(content),
        "study_runs.csv": format_runs(content),
        "study.json": format_json(content),
    }
    try:
        with ExitStack() as stack:
            # Each is renamed when the stack closes, after all of them have been written.
            paths = {name: stack.enter_context(whole_file(output / name)) for name in FILES}
            for name, text in texts.items():
                paths[name].write_bytes(text.encode())
            write_page_of_study(paths["study.html"], content)
    except OSError as error:
        raise InputError(
            str(output),
            found=f"a folder that cannot be written to ({error.strerror})",
            expected="a writable folder with space for the report",
            remedy="choose another folder, or free disk space",
        ) from error
    return [output / name for name in FILES]


def _check_runs(runs: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError for the first run whose numbers do not fit each other."""
    for run in runs:
        try:
            check_result(run)
        except ValueError as error:
            raise InputError(
                f"run {run.get('id', '?')}",
                found=str(error),
                expected="the numbers of one training, as `lightskip study` writes them",
                remedy="delete this run's file and start the study again",
            ) from error
