"""One case as it is measured, against numpy, and what is said of each way to spoil it."""

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.dataset import Case
from pipeline.data.inspect_case import inspect_case
from pipeline.data.inspection import failed_case
from pipeline.data.wanted import Wanted
from pipeline.report.thumbnail import draw_thumbnail

from .conftest import AFFINE, SHAPE

DECLARED = {0: "0 (background)", 1: "1 (front)", 2: "2 (back)"}


def inspect(small, images, label=None, *, channels=1, background=0, declared=DECLARED):
    files = images if isinstance(images, list) else [images]
    wanted = Wanted(channels, 3, declared, background)
    return inspect_case(Case("a", "training", tuple(files), label, 0, None), small.folder, wanted, draw=draw_thumbnail)


def kinds(inspection):
    return [(finding.kind, finding.file) for finding in inspection.findings]


def test_a_case_is_measured_as_numpy_does(small):
    image = small.image(0)
    image[0, 0] = 0
    record = inspect(small, small.save("i.nii", image), small.save("l.nii", small.label())).record
    inside = image[small.label() > 0].astype(np.float64)
    (whole,), (foreground,) = record["intensity"], record["foreground"]
    expected = {"min": image.min(), "max": image.max(), "mean": image.mean(), "std": image.std()}
    assert {key: whole[key] for key in expected} == pytest.approx(expected, rel=1e-6)
    assert whole["zeros"] == pytest.approx(SHAPE[2] / np.prod(SHAPE))
    assert (foreground["voxels"], foreground["mean"]) == (inside.size, pytest.approx(inside.mean()))
    np.testing.assert_allclose(foreground["quantiles"], np.percentile(inside, np.arange(0, 100.5, 0.5)), rtol=1e-6)
    assert (record["shape"], record["spacing"], record["orientation"]) == ([12, 10, 8], [1, 1.5, 2], "LAS")
    assert record["dtypes"] == ["float32", "uint8"]
    assert record["classes"]["1"]["voxels"] == (small.label() == 1).sum()


def test_a_large_image_is_sampled_and_its_extremes_are_exact(small):
    image = np.random.default_rng(0).normal(100, 20, (180, 170, 160)).astype(np.float32)
    image[1, 1, 1] = 5000
    label = np.zeros(image.shape, np.uint8)
    label[10:150, 10:150, 10:150] = 1
    record = inspect(small, small.save("i.nii", image), small.save("l.nii", label)).record
    assert record["intensity"][0]["max"] == 5000
    assert record["intensity"][0]["mean"] == pytest.approx(100, abs=0.2)
    assert record["foreground"][0]["voxels"] == 140**3
    np.testing.assert_allclose(
        record["foreground"][0]["quantiles"][40:161:40],
        100 + 20 * np.array([-0.8416, -0.2533, 0.2533, 0.8416]),
        atol=0.3,
    )


def test_channels_are_numbered_over_files_and_within_one(small):
    images = [small.image(number) for number in range(2)]
    files = [small.save(f"{number}.nii", image) for number, image in enumerate(images)]
    stacked = small.save("both.nii", np.stack(images, -1))
    label = small.save("l.nii", small.label())
    one, other = inspect(small, files, label, channels=2), inspect(small, stacked, label, channels=2)
    assert one.record["intensity"] == other.record["intensity"]
    assert one.record["foreground"] == other.record["foreground"]
    assert [entry["channel"] for entry in one.record["foreground"]] == [0, 1]


COPIES = {
    "the same": (lambda image: image, True),
    "compressed": (lambda image: image, True),
    "float64": (lambda image: image.astype(np.float64), True),
    "whole numbers as float32": (lambda image: image.astype(np.float32), True),
    "one axis more": (lambda image: image[..., None], True),
    "zeros below zero": (lambda image: np.where(image == 0, -0.0, image), True),
    "one voxel other": (lambda image: image + (np.arange(image.size).reshape(image.shape) == 5), False),
    "mirrored": (lambda image: image[::-1], False),
}


@pytest.mark.parametrize(("change", "same"), COPIES.values(), ids=COPIES)
def test_a_copy_is_known_whatever_it_is_stored_as(small, change, same):
    image = small.image(0).round().astype(np.int16)
    image[:2] = 0
    hashes = [inspect(small, small.save(f"{n}.nii.gz", v)).voxels for n, v in (("a", image), ("b", change(image)))]
    assert (hashes[0] == hashes[1]) == same
    assert None not in hashes


def test_a_label_on_another_grid_measures_no_foreground(small):
    label = small.save("l.nii", small.label()[:-1])
    inspection = inspect(small, small.save("i.nii", small.image(0)), label)
    assert kinds(inspection) == [("shape-differs", "l.nii")]
    assert inspection.record["foreground"] == []
    assert inspection.record["classes"]


def test_one_file_for_two_roles_is_said(small):
    label = small.save("l.nii", small.label())
    assert ("same-file", "l.nii") in kinds(inspect(small, label, label))


def test_another_background_is_not_counted(small):
    label = np.where(small.label() == 0, 255, small.label()).astype(np.uint8)
    label[label == 2] = 0
    image, file = small.save("i.nii", small.image(0)), small.save("l.nii", label)
    inspection = inspect(small, image, file, background=255, declared={0: "0 (a)", 1: "1 (b)", 255: "255 (background)"})
    assert kinds(inspection) == []
    assert inspection.record["classes"].keys() == {"0", "1"}
    assert inspection.record["foreground"][0]["voxels"] == (label != 255).sum()
    options = {"declared": (0, 1, 255), "background": 255}
    assert inspection.thumbnail == draw_thumbnail(small.image(0), label, (1, 1.5, 2), AFFINE, **options)
    empty = small.save("e.nii", np.full(SHAPE, 255, np.uint8))
    assert kinds(inspect(small, image, empty, background=255, declared={255: "255 (background)"})) == [
        ("label-empty", "e.nii")
    ]


@pytest.mark.parametrize("spoil", ["image", "label", "both"])
def test_what_can_be_read_is_measured(small, spoil):
    image, label = small.save("i.nii", small.image(0)), small.save("l.nii", small.label())
    for role, file in (("image", image), ("label", label)):
        if spoil in (role, "both"):
            (small.folder / file).write_bytes(b"")
    inspection = inspect(small, image, label)
    assert [kind for kind, _ in kinds(inspection)] == ["empty-file"] * (2 if spoil == "both" else 1)
    assert bool(inspection.record["classes"]) == (spoil == "image")
    assert bool(inspection.record["intensity"]) == (inspection.thumbnail is not None) == (spoil == "label")
    assert (inspection.voxels is None) == (spoil != "label")


@pytest.mark.parametrize("axes", [0, 1, 8, 255])
def test_a_header_with_impossible_axes_is_a_finding(small, axes):
    raw = bytearray((small.folder / small.save("i.nii", small.image(0))).read_bytes())
    raw[40:42] = axes.to_bytes(2, "little")
    (small.folder / "i.nii").write_bytes(raw)
    # With fewer axes the header promises fewer voxels than the file has.
    found = [kind for kind, _ in kinds(inspect(small, "i.nii")) if kind != "trailing-data"]
    assert found[0] in ("dimensions", "not-an-image", "truncated", "spacing")


def test_a_header_without_its_voxels_names_the_file_that_lacks(small):
    nib.Nifti1Pair(small.image(0), AFFINE).to_filename(small.folder / "pair.img")
    (small.folder / "pair.img").unlink()
    (finding,) = inspect(small, "pair.hdr").findings
    assert finding.kind == "missing"
    assert "pair.img" in finding.found


def test_measuring_changes_no_finding(small):
    """A case with a finding of every step: labels stored oddly, in another place, an image that is constant."""
    off = AFFINE.copy()
    off[:3, 3] += 5
    image = small.save("i.nii", np.full(SHAPE, 7, np.int16))
    nib.Nifti1Image(small.label().astype(np.float32), off).to_filename(small.folder / "l.nii")
    nib.Nifti1Image(np.zeros(SHAPE, np.uint8), AFFINE).to_filename(small.folder / "e.nii")
    for label in ("l.nii", "e.nii"):
        case = Case("a", "training", (image,), label, 0, None)
        both = [inspect_case(case, small.folder, Wanted(1, 3, DECLARED), measure=one) for one in (True, False)]
        assert both[0].findings == both[1].findings
        assert len(both[0].findings) >= 2
        assert both[0].record["classes"] or label == "e.nii"
        assert (both[1].record["shape"], both[1].thumbnail) == (None, None)


def test_an_analyze_pair_is_a_problem(small):
    """Its kind is a warning for a file that can be read, and this one cannot."""
    nib.AnalyzeImage(small.image(0).astype(np.int16), None).to_filename(small.folder / "a.img")
    (finding,) = inspect(small, "a.hdr").findings
    assert (finding.kind, finding.is_problem) == ("form-missing", True)


def test_what_a_reader_says_is_the_same_every_time(small):
    """ITK names the line of its source and an address in memory."""
    for name in ("a.nrrd", "a.mha"):
        (small.folder / name).write_bytes(b"nothing of the kind\n" * 20)
        said = [finding.found for _ in range(2) for finding in inspect(small, name).findings]
        assert said[0] == said[1]
        assert "0x" not in said[0]
        assert ".cxx" not in said[0]


def test_a_failed_case_says_what_failed_and_has_all_entries(small):
    case = Case("a", "training", ("./i.nii",), "./l.nii", 3, "s")
    failed = failed_case(case, IndexError("list index\nout of range"))
    (finding,) = failed.findings
    assert (finding.kind, finding.case, finding.file) == ("check-failed", "a", "i.nii")
    assert "IndexError: list index out of range" in finding.found
    assert failed.record.keys() == inspect_case(case, small.folder, Wanted(1, 3, None)).record.keys()
