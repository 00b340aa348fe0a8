import random

import pytest

PROBLEMS = (
    *("missing", "empty-file", "lfs-pointer", "misnamed", "truncated", "not-an-image", "voxel-type", "unit", "spacing"),
    *("affine", "sheared", "dimensions", "channels", "nan", "infinite", "constant", "range", "shape-differs"),
    *("spacing-differs", "origin-differs", "direction-differs", "label-not-integer", "label-undeclared", "leakage"),
)
WARNINGS = (
    *("form-conflict", "grid-rounding", "label-empty", "label-volume", "label-islands", "label-unused", "duplicate"),
)
NOTES = ("label-rounding", "label-float", "labels-not-consecutive", "orientation-mixed", "spacing-outlier")
KINDS = dict.fromkeys(PROBLEMS, "problem") | dict.fromkeys(WARNINGS, "warning") | dict.fromkeys(NOTES, "note")
OF_THE_DATASET = {"label-unused", "labels-not-consecutive", "orientation-mixed"}
UNREADABLE = {"missing", "empty-file", "lfs-pointer", "misnamed", "truncated", "not-an-image"}


def finding(kind, case, number=0, **changed):
    """A finding of this kind with a unique text, so that a test can check that it is shown once."""
    file = None if case is None else f"{'labelsTr' if 'label' in kind else 'imagesTr'}/{case}.nii.gz"
    return {
        "kind": kind,
        "severity": KINDS.get(kind, "problem"),
        "case": case,
        "file": file,
        "found": f"what {kind} is, number {number}",
        "expected": f"what {kind} is not",
        "remedy": f"mend {kind}",
        "fixable": kind in {"grid-rounding", "label-rounding", "label-float"},
    } | changed


def make_case(index, labels, rng, *, dims=3, channels=1):
    name = f"liver_{index:04d}"
    unit = "ml" if dims == 3 else "mm2"
    classes = {
        label: {
            "voxels": 1000 + index,
            unit: round(rng.gauss(1500, 300) / (1 + 40 * position), 2),
            "components": 1,
            "largest": 1.0,
            "centroid": [1.0, 2.0, 3.0],
        }
        for position, label in enumerate(name for name, value in labels.items() if value != 0)
    }
    intensity = [
        {"channel": c, "min": -1024.0, "max": rng.lognormvariate(8, 1), "mean": 80 + index % 9, "std": 300, "zeros": 0}
        for c in range(channels)
    ]
    return {
        "name": name,
        "part": "training",
        "fold": index % 5,
        "subject": name,
        "images": [f"imagesTr/{name}.nii.gz"],
        "label": f"labelsTr/{name}.nii.gz",
        "shape": [512, 512, 60 + index % 90][:dims],
        "spacing": [round(0.6 + 0.01 * (index % 35), 3)] * 2 + [5.0, 2.5, 1.0][index % 3 : index % 3 + 1] * (dims - 2),
        "orientation": "RAS" if index % 20 else "LPS",
        "dtypes": ["int16", "uint8"],
        "intensity": intensity,
        "foreground": [],
        "classes": classes,
    }


def make_report(number, findings=(), *, dims=3, channels=("CT",), labels=None, test=0):
    """A check report of this many cases, the last `test` of them for testing, with these findings."""
    labels = labels or {"background": 0, "liver": 1, "tumour": 2}
    rng = random.Random(0)
    cases = [make_case(index, labels, rng, dims=dims, channels=len(channels)) for index in range(number)]
    for case in cases[number - test :]:
        case |= {"part": "test", "fold": None, "label": None, "classes": None}
    unreadable = {found["case"] for found in findings if found["kind"] in UNREADABLE}
    for case in cases:
        if case["name"] in unreadable:
            for key in ("shape", "spacing", "orientation", "dtypes", "intensity", "foreground", "classes"):
                case.pop(key)
    counts = {f"{s}s": sum(found["severity"] == s for found in findings) for s in ("problem", "warning", "note")}
    return {
        "format": 1,
        "datalist": "lists/liver.json",
        "datalist_sha256": "ab" * 32,
        "dataset_dir": "data/liver",
        "made": "2026-11-20T18:00:00+00:00",
        "versions": {"lightskip": "0.1.0", "python": "3.11.2", "numpy": "2.3.0", "nibabel": "5.3.2"},
        "seconds": 12.3456,
        "tolerances": {"same place, mm": 0.001, "same place, voxels": 0.05},
        "spatial_dims": dims,
        "channels": list(channels),
        "labels": labels,
        "summary": {"training": number - test, "test": test, "checked": number, **counts, "kinds": {}},
        "findings": list(findings),
        "cases": cases,
    }


def every_kind(number=208):
    """One finding of each kind, the first case with three, in an order that no view shows; and 30 of one kind."""
    found = [
        finding(kind, None if kind in OF_THE_DATASET else f"liver_{3 * index + 7:04d}", index)
        for index, kind in enumerate(reversed(KINDS))
    ]
    found += [finding("label-float", f"liver_{index:04d}", index) for index in range(130, 160)]
    found += [finding("constant", "liver_0000", 100), finding("label-volume", "liver_0000", 101)]
    return make_report(number, found, test=8)


@pytest.fixture
def reports():
    """This module's makers of check reports, until there are tests that share more."""

    class Makers:
        report = staticmethod(make_report)
        finding = staticmethod(finding)
        every_kind = staticmethod(every_kind)
        kinds = KINDS

    return Makers


@pytest.fixture
def figures(monkeypatch):
    """The figures behind the PNG files, for tests of their texts and positions."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    drawn, save = [], Figure.savefig

    def save_and_keep(figure, *args, **kwargs):
        drawn.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", save_and_keep)
    return drawn
