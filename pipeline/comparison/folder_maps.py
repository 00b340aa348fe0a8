"""The label maps of a folder, as `lightskip predict`, nnU-Net and other programs write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..data.errors import InputError
from ..data.images.endings import format_name, is_nifti, is_picture, is_volume, scan_name
from ..data.images.files import image_files, natural_order
from ..data.json_file import load_json

__all__ = ["exact_name", "find_scans", "list_label_maps", "own_name", "plain_name"]

_REPORT = "report.json"  # of `lightskip predict`
_OWN_ENDINGS = ("_seg", ".seg")
# Further outputs of `lightskip predict` for a scan.
_OTHER_OUTPUTS = ("_prob", "_entropy", "_preview", "_regions")
_ONE_REGION = "_region"  # after the names of the scan and the region
# What other programs put behind the name of a case.
_USUAL_ENDINGS = ("_dseg", "-seg", "_segmentation", "_label", "_labels", "_mask", "_pred", "_prediction", "_gt")


def list_label_maps(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the label maps directly in a folder, in natural order of their names, and notes on what was left out.

    Pictures count only if there is nothing else, as they are previews otherwise. A scan next to its own prediction
    (``NAME.nii.gz`` and ``NAME_seg.nii.gz``) and other outputs of ``lightskip predict`` (``NAME_prob.nii.gz``,
    ``NAME_entropy.nii.gz``) are no label maps.

    Raises:
        InputError: the folder is empty or has no label map.
    """
    files = image_files(folder)
    volumes = [path for path in files if is_nifti(path) or is_volume(path)]
    kept = volumes or [path for path in files if is_picture(path)]
    stems = {scan_name(path) for path in kept}
    predicted = {own_name(stem) for stem in stems if own_name(stem) != exact_name(stem)}
    scans = [path for path in kept if own_name(scan_name(path)) in predicted and _is_scan(scan_name(path))]
    names, left_out = stems | predicted, set(scans)
    maps = [path for path in kept if path not in left_out and not _is_other_output(scan_name(path), names)]
    if not maps:
        raise _no_maps_error(folder)
    return sorted(maps, key=lambda path: natural_order(path.name)), _left_out(folder, scans)


def find_scans(folder: Path, maps: Sequence[Path]) -> dict[Path, Path]:
    """Return the scan of each label map whose scan is known.

    It is in the report of `lightskip predict`, or in ``imagesTr`` next to ``labelsTr``, as in Decathlon and nnU-Net.

    Args:
        folder: the folder of the label maps.
        maps: the label maps.
    """
    found: dict[Path, Path] = {}
    known = set(maps)
    for output, scan in _read_report(folder / _REPORT):
        if folder / Path(output).name in known and Path(scan).exists():
            found[folder / Path(output).name] = Path(scan)
    images = folder.with_name(folder.name.replace("labels", "images", 1))
    if images != folder and images.is_dir():
        # The first channel comes first.
        scans: dict[str, Path] = {}
        for path in image_files(images):
            scans.setdefault(exact_name(scan_name(path)), path)
        for path in maps:
            if (name := own_name(scan_name(path))) in scans:
                found.setdefault(path, scans[name])
    return found


def _read_report(file: Path) -> list[tuple[str, str]]:
    """Return the label map and the first file of each scan in a report of `lightskip predict`."""
    try:
        scans = load_json(file)["scans"]
        return [(str(scan["outputs"][-1]), str(scan["files"][0])) for scan in scans if scan.get("outputs")]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return []


def exact_name(stem: str) -> str:
    """Return the name of a case from a file's name without its ending: nnU-Net's ``_0000`` is no part of it."""
    return stem.removesuffix("_0000")


def own_name(stem: str) -> str:
    """Return the name of a case without what LightSkip puts behind it: ``_seg`` or ``.seg``."""
    return exact_name(_without(exact_name(stem), _OWN_ENDINGS))


def plain_name(stem: str) -> str:
    """Return the name of a case without an ending that other programs use, such as ``_label`` or ``_pred``."""
    return exact_name(_without(own_name(stem), _USUAL_ENDINGS))


def _without(stem: str, endings: Sequence[str]) -> str:
    for ending in endings:
        # A file may be called "_seg" alone.
        if stem.lower().endswith(ending) and len(stem) > len(ending):
            return stem[: -len(ending)]
    return stem


def _is_scan(stem: str) -> bool:
    return own_name(stem) == exact_name(stem)


def _is_other_output(stem: str, names: set[str]) -> bool:
    stem = stem.removesuffix(".seg")
    if stem.endswith(_ONE_REGION):
        parts = stem.removesuffix(_ONE_REGION).split("_")
        return any("_".join(parts[:end]) in names for end in range(1, len(parts)))
    return any(stem.endswith(ending) and stem.removesuffix(ending) in names for ending in _OTHER_OUTPUTS)


def _left_out(folder: Path, scans: Sequence[Path]) -> list[str]:
    if not scans:
        return []
    more = f" and {len(scans) - 1} more" * (len(scans) > 1)
    return [f"{folder}: {scans[0].name}{more} left out: next to a file _seg with the same name they are scans."]


def _no_maps_error(folder: Path) -> InputError:
    shown = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
    below = next((path for path in sorted(folder.iterdir()) if path.is_dir() and image_files(path)), None)
    found = "an empty folder"
    if shown:
        found = f"no label map; the folder contains {', '.join(shown[:5])}" + ", …" * (len(shown) > 5)
    remedy = f"name the folder that holds them, such as {below}" if below else "name the folder that holds them"
    if any(format_name(name) == "dicom" for name in shown):
        remedy = "DICOM segmentations are not read: predict without --format dicom-seg or rtstruct, or convert them"
    return InputError(
        folder,
        found=found,
        expected="label maps directly in the folder (NIfTI, NRRD, MHA, MGZ, Zarr, or pictures)",
        remedy=remedy,
    )
