"""Which cases are compared, and which subject each is of."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..data.datalist import read_json
from ..data.errors import InputError
from ..data.known_keys import check_keys
from ..data.table_errors import explain_table
from ..spreadsheet import read_rows

__all__ = ["choose_cases", "read_subjects"]


def choose_cases(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names of the cases to compare: those named, or in a text file named, one in a line; else all.

    Raises:
        InputError: there is no such case, no name at all, or a file is no text.
    """
    if not words:
        return list(names)
    wanted: list[str] = []
    for word in words:
        file = Path(word).expanduser()
        is_list = word not in names and file.is_file()
        wanted += _read_text(file).split("\n") if is_list else [word]
    asked = {word.strip() for word in wanted if word.strip()}
    if not asked:
        raise InputError(
            "--cases",
            found="no name",
            expected="names of cases, or a text file with a name in each line",
            remedy="name some, or leave it out",
        )
    unknown = sorted(asked - set(names))
    if unknown:
        raise InputError(
            "--cases",
            found=f"{', '.join(unknown[:5])}{', …' * (len(unknown) > 5)}: no such case",
            expected=f"names of the reference's cases, such as {', '.join(list(names)[:3])}",
            remedy="correct the names",
        )
    return [name for name in names if name in asked]


def read_subjects(word: str | None, names: Sequence[str]) -> dict[str, str]:
    """Return the subject by the case's name, as ``--subjects`` says; empty without it.

    Args:
        word: a table: CSV with the columns ``case`` and ``subject``, or JSON ``{"CASE": "SUBJECT"}``; or a regular
            expression that is searched for in the case's name, whose first group is the subject.
        names: names of the cases.

    Raises:
        InputError: the table is malformed or lacks a case, or the expression has no group or does not fit a case.
    """
    if word is None:
        return {}
    file = Path(word).expanduser()
    if file.is_file():
        found = _read_table(file)
        expected = f"a subject for every case, in {file}"
    else:
        found = _search_subjects(word, names)
        expected = "an expression that fits the name of every case"
    lacking = [name for name in names if not found.get(name)]
    if lacking:
        more = f" and {len(lacking) - 1} more" * (len(lacking) > 1)
        raise InputError(
            "--subjects",
            found=f"no subject for {lacking[0]}{more}",
            expected=expected,
            remedy="add them, or correct it",
        )
    return {name: found[name] for name in names}


def _read_table(file: Path) -> dict[str, str]:
    if file.suffix.lower() == ".json":
        content = read_json(file)
        if isinstance(content, dict) and all(isinstance(value, str | int) for value in content.values()):
            return {str(key): str(value) for key, value in content.items()}
    else:
        with explain_table(file):
            _, rows = read_rows(io.StringIO(_read_text(file), newline=""))
        if rows:
            check_keys([key for key in rows[0] if key], ("case", "subject"), file, line=1)
        if rows and {"case", "subject"} <= rows[0].keys():
            return _one_subject_each(file, rows)
    raise InputError(
        file,
        found="another table",
        expected='CSV with the columns case and subject, or JSON {"CASE": "SUBJECT"}',
        remedy="correct its first line",
    )


def _one_subject_each(file: Path, rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        if found.setdefault(row["case"], row["subject"]) != row["subject"]:
            raise InputError(
                file,
                found=f"the case {row['case']} twice, with the subjects {found[row['case']]} and {row['subject']}",
                expected="one subject for every case",
                remedy="remove one of the two lines",
            )
    return found


def _read_text(file: Path) -> str:
    """Return a text without its byte order mark, or raise InputError."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            file, found="a file that is not text in UTF-8", expected="a text file", remedy="save it again in UTF-8"
        ) from error


def _search_subjects(pattern: str, names: Sequence[str]) -> dict[str, str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        found = f"{pattern!r}, neither a file nor a regular expression ({error})"
    else:
        if expression.groups:
            matches = {name: expression.search(name) for name in names}
            return {name: match[1] for name, match in matches.items() if match and match[1]}
        found = f"{pattern!r}, no file, and an expression without a group"
    raise InputError(
        "--subjects",
        found=found,
        expected="a table of cases and subjects, or an expression such as '(sub-[0-9]+)'",
        remedy="correct it",
    )
