"""Recognise a folder and read what its report shows: a comparison, evaluation, training, bundle or prediction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..data.case_names import case_stems
from ..data.errors import InputError
from ..data.images.endings import is_image
from .report_content import CaseFiles, Content
from .report_read_bundle import read_bundle, read_training
from .report_read_files import read_json_file
from .report_read_predictions import read_predictions
from .report_read_scores import read_comparison, read_evaluation

__all__ = ["read_content"]


def read_content(path: str | Path, *, images: str | Path | None = None) -> Content:
    """Return the content of a folder's report.

    Args:
        path: folder of a comparison, an evaluation, a training, a bundle, a prediction or a run of `lightskip fit`;
            or a file in it.
        images: folder with the scans, for cases whose scan the folder does not name. A scan belongs to the case that is
            named after it.

    Raises:
        InputError: the folder is none of these, a file of it cannot be read, or `images` has no scan of any case.
    """
    folder = Path(path).expanduser()
    folder = folder.parent if folder.is_file() and folder.name in _FILES else folder
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise InputError(folder, found=found, expected=_EXPECTED, remedy="check the path")
    try:
        content = _read(folder)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        # JSON of another structure.
        raise InputError(
            folder,
            found=f"files of another structure ({type(error).__name__}: {error})",
            expected=_EXPECTED,
            remedy="make the folder again",
        ) from error
    return content if images is None else _add_images(content, Path(images).expanduser())


_EXPECTED = (
    "the folder that lightskip compare (summary.json, cases.csv), evaluate (cases.csv), train (history.csv) or predict "
    "(report.json) writes, the run of lightskip fit (fit.json), or a bundle (plan.yaml)"
)
_FILES = ("summary.json", "cases.csv", "history.csv", "model.json", "model.pt", "plan.yaml", "report.json")


def _read(folder: Path) -> Content:
    summary = read_json_file(folder / "summary.json") if (folder / "summary.json").is_file() else {}
    if summary.get("kind") == "comparison":
        return read_comparison(folder, summary)
    if "probes" in summary:
        raise InputError(
            folder,
            found="the output of lightskip probe",
            expected=_EXPECTED,
            remedy="name one of these, and this folder with --probe",
        )
    if (folder / "plan.yaml").is_file() or (folder / "configs" / "metadata.json").is_file():
        return read_bundle(folder)
    if (folder / "report.json").is_file() and "scans" in (report := read_json_file(folder / "report.json")):
        return read_predictions(folder, report)
    if (folder / "cases.csv").is_file():
        return read_evaluation(folder, summary)
    if (folder / "history.csv").is_file():
        return read_training(folder)
    if (folder / "fit.json").is_file() and (folder / "bundle" / "plan.yaml").is_file():
        return read_bundle(folder / "bundle")
    inside = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
    raise InputError(
        folder,
        found=f"{', '.join(inside[:5])}{', ...' if len(inside) > 5 else ''}" if inside else "an empty folder",
        expected=_EXPECTED,
        remedy="name one of these folders",
    )


def _add_images(content: Content, folder: Path) -> Content:
    """Return the content with the scan of each case that has none, from a folder."""
    if not folder.is_dir():
        raise InputError(folder, found="no folder", expected="a folder with scans", remedy="check the path of --images")
    files = [file for file in sorted(folder.iterdir()) if is_image(str(file)) and not file.name.startswith(".")]
    found: dict[str, Path] = {}
    for file, stem in zip(files, case_stems([[file] for file in files]), strict=True):
        found.setdefault(stem, file)
    if content.cases and not any(case.name in found for case in content.cases):
        some = ", ".join(list(found)[:3]) or "no image"
        raise InputError(
            folder,
            found=f"no scan of the {len(content.cases)} cases ({some})",
            expected=f"scans that are named after the cases, such as {content.cases[0].name}.nii.gz",
            remedy="name the folder of the cases' scans with --images",
        )

    def add(case: CaseFiles) -> CaseFiles:
        return case if case.name not in found else replace(case, image=found[case.name])

    return replace(content, cases=[add(case) for case in content.cases])
