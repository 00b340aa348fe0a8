"""The meaning of every kind of finding, in one sentence, as `docs/own_dataset.md` lists them."""

from __future__ import annotations

from collections.abc import Iterator

from .findings import SEVERITIES, Severity

__all__ = ["MEANINGS", "SEVERITY_MEANINGS", "describe_kinds", "kind_table"]

SEVERITY_MEANINGS: dict[Severity, str] = {
    "problem": "the case cannot be trained on, or a number would be wrong.",
    "warning": "a person should look.",
    "note": "harmless.",
}
# The keys are those of `findings.SEVERITIES`.
MEANINGS: dict[str, str] = {
    "missing": "no such file, one half of a pair, or a link to a file that is not there",
    "unreadable": "the system or the decoder cannot read the file: permissions, disk, DICOM compression",
    "empty-file": "0 bytes",
    "lfs-pointer": "a Git LFS pointer instead of the image",
    "annex-pointer": "a git-annex pointer instead of the image",
    "misnamed": "gzip-compressed and named `.nii`, or the reverse",
    "truncated": "the file ends too early, or is damaged by its length or checksum",
    "not-an-image": "no image",
    "other-format": "a format whose place ITK does not know or mirrors, such as MINC, MRC, VTK and GIPL",
    "voxel-offset": "a NIfTI header whose `vox_offset` is within the header, after the file's end, or no whole number",
    "voxel-type": "complex or RGB voxels, or a type that ITK cannot read in Python",
    "unit": "spacing in another unit than mm",
    "spacing": "not from 0.01 to 100 mm, or not stated; slices of a DICOM series at uneven distances",
    "affine": "not finite, or it maps the volume to a plane; an axis without a direction",
    "sform-singular": "an sform that maps the volume to a plane, with a sound qform",
    "scaling": "a NIfTI header with an intercept that is no number, or a DICOM slice with a slope of 0",
    "dimensions": "other axes than the dataset's, such as 4D instead of 3D; a DICOM series whose slices differ",
    "channels": "another number of channels or image files than the other cases",
    "other-content": "DICOM that is no scan of anatomy: dose, structures, segmentation, report, parametric map, "
    "screenshot, colour, loop",
    "several-series": "several DICOM series in one folder; FOLDER/series=NUMBER names one",
    "several-volumes": "several stacks, time points, echoes, b-values, frame types or units of values in one DICOM "
    "series or file",
    "same-file": "one file twice in a case",
    "image-is-label": "an image has the values of its label map",
    "nan": "voxels that are not a number",
    "infinite": "infinite voxels",
    "constant": "one value in every voxel",
    "range": "voxels beyond ±10¹⁸, or labels beyond ±2³¹",
    "shape-differs": "another shape than the case's first image",
    "spacing-differs": "another spacing than the case's first image",
    "origin-differs": "another origin than the case's first image",
    "direction-differs": "other directions of the axes than the case's first image",
    "grid-rounding": "the header differs from the first image's by rounding",
    "label-not-integer": "more than 0.001 from a whole number",
    "label-lossy": "a label map as JPEG, or in another format that changes values",
    "unit-mixed": "pictures with a spacing and others without one, or in mm and in µm",
    "label-undeclared": "a value that the datalist does not declare",
    "region-order": "regions that overlap without one containing the other, or without a label of their own, and no "
    "`region_order`",
    "leakage": "one image, or scans of one subject, on both sides of a split",
    "check-failed": "an error in the check itself, or too little memory",
    "path-outside": "an absolute path to a file outside the dataset's folder; training asks for `--outside True`",
    "link-outside": "a link to a file outside the dataset's folder; training asks for `--outside True`",
    "sheared": "axes that are not at 90 degrees: other tools refuse the file. "
    "A DICOM series with a tilted gantry is a problem",
    "checksum": "another SHA-256 than in the datalist",
    "form-conflict": "qform against sform, or pixdim against sform",
    "form-missing": "nothing that distinguishes left from right: neither qform nor sform, or no space of a patient; "
    "or no spacing, in NRRD and MetaImage",
    "palette": "an image whose pixels are numbers of colours in a palette; a label map may have one",
    "colour-depth": "colours of 16 bits, which are read with 8",
    "spacing-conflict": "two spacings for one picture, such as in its JSON file and in its tags; the first one is used",
    "scaling-ignored": "a NIfTI header with an intercept and a slope of 0, which nibabel ignores and ITK adds; "
    "a MetaImage with a scaling, which ITK ignores",
    "intensity-units": "values in other units than the other cases': CT plus 1024 or scaled, z-scores, "
    "percent and fractions",
    "ct-units": "no CT of the dataset is in Hounsfield units (HU)",
    "image-few-values": "few whole values, as a label map has, where the other cases have many",
    "label-misplaced": "edges and intensities at the labels differ from the other cases': another case's label map, "
    "or a mirrored one",
    "channel-misplaced": "the same of one channel, while the label map fits another",
    "label-place": "a label in another place among the labels than in the other cases: labels exchanged, "
    "or a mirrored label map",
    "labels-are-objects": "labels 1, 2, 3, … that number the objects of each case",
    "label-partial": "a label that fewer than half of the cases have: perhaps it was not annotated everywhere",
    "label-unannotated": "voxels of a label that the case does not name as `annotated`",
    "labels-absent": "no training case has any label; `lightskip train` also refuses this of the cases of its fold",
    "label-empty": "a label map without any label",
    "label-missing": "a case lacks a label that nearly all others have",
    "label-volume": "a volume far outside the usual",
    "label-islands": "tiny islands far from anything labelled (a note where many cases have them)",
    "label-unused": "a declared label that no case has",
    "duplicate": "the same voxels as another case",
    "voxel-offset-uneven": "a NIfTI file whose voxels do not start at a multiple of 16 bytes; only SPM cannot read it",
    "trailing-data": "bytes after the end of the voxels",
    "alpha-channel": "a picture's opacity, which is left out",
    "equal-channels": "three equal channels, which are read as one",
    "stack-axis": "pages of a TIFF that it calls channels or times, read as slices",
    "spacing-incomplete": "a stack without a spacing between slices: lengths are in pixels",
    "other-series": "doses, segmentations or screenshots next to a DICOM scan: they are left out",
    "label-rounding": "values such as 0.99999997, which counts as 1",
    "label-float": "whole numbers stored as floating point",
    "labels-not-consecutive": "label values other than 0, 1, 2, …; the bundle maps them",
    "labels-unknown": "the datalist has no names for the labels",
    "orientation-mixed": "scans in several orientations; bundles turn them to one",
    "spacing-outlier": "more than a factor of 2 from the median",
}


def kind_table(severity: Severity) -> list[str]:
    """Return the lines of a Markdown table of the kinds of a severity, in the order of `MEANINGS`."""
    rows = [f"| `{kind}` | {meaning} |" for kind, meaning in MEANINGS.items() if SEVERITIES[kind] == severity]
    return [f"| {severity} | what it means |", "| --- | --- |", *rows]


def describe_kinds() -> Iterator[str]:
    """Yield the lines of the documents about all kinds: a sentence and a table for each severity."""
    for severity, meaning in SEVERITY_MEANINGS.items():
        yield from (f"**{severity.capitalize()}**: {meaning}", "", *kind_table(severity), "")
