"""A table of cases: CSV or TSV with the columns image (or image_0, image_1 …) and label."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...plain_file import open_plain
from ...spreadsheet import refuse_nul
from ..datalist import require_folder
from ..errors import InputError
from ..known_keys import check_keys
from ..table_errors import explain_table
from .found import Found, Item, Unlabelled, join_names, split_by_label

__all__ = ["find_table", "read_table"]

_READ = {"image", "label", "subject", "group", "fold", "part", "annotated"}
# Either a column image or image_0, and either subject or group.
_COLUMNS = ("label", "subject", "group", "fold", "part", "annotated")
_PARTS = {"": "", "training": "training", "train": "training", "test": "test", "testing": "test"}


def find_table(
    file: str | Path,
    *,
    dataset_dir: str | Path | None = None,
    unlabelled: Unlabelled = "refuse",
    keep_folds: bool = True,
) -> Found:
    """Return the cases that a table lists, one per row.

    Columns: `image`, or `image_0`, `image_1` … in the channels' order; `label`, empty for a case without one;
    `subject` or `group`, whose rows stay in one fold; `fold`, whole numbers from 0; `part`, training or test;
    `annotated`, the labels that were annotated, separated by semicolons or spaces, empty if all were. Other columns are
    kept for stratifying. An image may be the folder of a DICOM series.

    Args:
        file: the table, in UTF-8 with or without a byte order mark. The separator is the one that its first line
            uses: comma, semicolon or tab.
        dataset_dir: folder that relative paths start from; by default the table's own.
        unlabelled: how to treat rows without a label map whose `part` is not test; see `split_by_label`.
        keep_folds: whether to read the column `fold`.

    Raises:
        InputError: the table cannot be read or lacks a column, or a row is wrong; the message names its line.
    """
    path = Path(file).expanduser().absolute()
    columns, rows = read_table(path)
    check_keys(columns, _COLUMNS, path, line=1)
    images = _image_columns(path, columns)
    if "subject" in columns and "group" in columns:
        raise _line_error(path, 1, "both columns subject and group", "only one of the two")
    folder = path.parent if dataset_dir is None else require_folder(dataset_dir)
    parts: dict[str, list[Item]] = {"": [], "training": [], "test": []}
    for line, row in rows:
        part, item = _item(row, images, path, line, folder, keep_folds)
        parts[part].append(item)
    training, test, left_out = split_by_label(parts[""], unlabelled, path)
    cases, scans = [*parts["training"], *training], [*parts["test"], *test]
    return Found(path, folder, cases, scans, {"name": path.stem}, left_out)


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return a table's columns, in lower case, and its rows, each with its line number, without empty rows.

    Raises:
        InputError: the file is no text, has no row, a column has no name or the name of another, or a row has more or
            fewer cells than there are columns.
    """
    try:
        with open_plain(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as decoded:
            text = decoded.read()
    except OSError as error:
        found = f"no readable file ({error.strerror})"
        raise InputError(path, found=found, expected="a table", remedy="give the path of a CSV or TSV file") from error
    except UnicodeDecodeError as error:
        remedy = "save the table as text in UTF-8"
        raise InputError(path, found="a file that is not UTF-8", expected="a CSV or TSV file", remedy=remedy) from error
    first = text.partition("\n")[0]
    separator = max("\t;,", key=lambda sign: (first.count(sign), sign == ","))
    with explain_table(path):
        reader = csv.reader(refuse_nul(io.StringIO(text, newline="")), delimiter=separator, strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    lines = [(number, cells) for number, cells in lines if any(cells)]
    if len(lines) < 2:
        raise InputError(
            path,
            found="no row below the column names" if lines else "an empty table",
            expected="a line with column names and a row per case",
            remedy="fill the table",
        )
    header = [name.lower() for name in lines[0][1]]
    if len(set(header)) < len(header) or "" in header:
        odd = next(name for name in header if name == "" or header.count(name) > 1)
        raise _line_error(
            path,
            lines[0][0],
            f'the column "{odd}" twice' if odd else "a column without a name",
            "a different name for each column",
        )
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise _line_error(path, number, f"{len(cells)} cells", f"{len(header)}, one for each column")
    return header, [(number, dict(zip(header, cells, strict=True))) for number, cells in lines[1:]]


def _image_columns(path: Path, columns: Sequence[str]) -> list[str]:
    numbered = sorted((name for name in columns if re.fullmatch(r"image_[0-9]+", name)), key=lambda name: int(name[6:]))
    wanted = [f"image_{index}" for index in range(len(numbered))]
    if ("image" in columns) != bool(numbered) and numbered == wanted:
        return numbered or ["image"]
    raise _line_error(
        path, 1, f"the columns {join_names(columns)}", "a column image, or image_0, image_1 … for the channels"
    )


def _item(
    row: Mapping[str, str], images: Sequence[str], path: Path, line: int, folder: Path, keep_fold: bool
) -> tuple[str, Item]:
    empty = [name for name in images if not row[name]]
    if empty:
        raise _line_error(path, line, f"an empty {' and '.join(empty)}", "a file, or the folder of a DICOM series")
    part = _PARTS.get(row.get("part", "").lower())
    fold = row.get("fold", "") if keep_fold and part != "test" else ""
    if part is None:
        raise _line_error(path, line, f'the part "{row["part"]}"', "training or test")
    if part == "training" and not row.get("label"):
        raise _line_error(path, line, "a training case without a label map", "a file under label")
    if fold and not fold.isdecimal():
        raise _line_error(path, line, f'the fold "{fold}"', "a whole number from 0")
    return part, Item(
        images=tuple(_path(folder, row[name]) for name in images),
        label=_path(folder, row["label"]) if row.get("label") else None,
        subject=row.get("subject") or row.get("group") or None,
        fold=int(fold) if fold else None,
        columns={name: value for name, value in row.items() if name not in _READ and name not in images},
        place=f"line {line}",
        annotated=_names(row.get("annotated", "")),
    )


def _names(cell: str) -> tuple[str, ...] | None:
    # Between semicolons a name may have spaces.
    names = cell.split(";") if ";" in cell else cell.split()
    return tuple(name.strip() for name in names if name.strip()) or None


def _path(folder: Path, cell: str) -> Path:
    # A table written on Windows has backslashes.
    return folder / Path(cell.replace("\\", "/")).expanduser()


def _line_error(path: Path, line: int, found: str, expected: str) -> InputError:
    return InputError(path, found=f"{found} in line {line}", expected=expected, remedy="correct this line")
