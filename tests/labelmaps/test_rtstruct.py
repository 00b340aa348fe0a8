"""Structure sets read back: by pydicom alone and arithmetic, by the datalist's reader, rt-utils and plastimatch."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.valuerep import DSfloat

from pipeline import __version__
from pipeline.data.contour_fill import fill_contours
from pipeline.data.errors import InputError
from pipeline.data.images.door import read_header
from pipeline.data.structure_set import check_same_scan, read_structure_set
from pipeline.labelmaps import rtstruct_contours
from pipeline.labelmaps.label_table import Label, make_label_table
from pipeline.labelmaps.rtstruct import check_rtstruct_source
from pipeline.labelmaps.save import save_label_map
from pipeline.labelmaps.save_regions import save_regions

from ..data.rt import FRAME, LPS, SERIES, UID, make_affine, make_series, points_of
from .test_dicom_seg import AFFINE, CORNER, STEP, enhanced, labels
from .test_dicom_seg import TABLE as TWO

GRIDS = {
    "1 mm": ((40, 40, 40), (1, 1, 1), (0, 0, 0)),
    "thick slices": ((44, 40, 16), (0.8, 0.8, 3), (0, 0, 0)),
    "oblique": ((40, 40, 40), (1, 1, 1), (20, -35, 10)),
    "oblique, all unlike": ((46, 36, 18), (0.7, 0.9, 2.5), (-70, 15, 130)),
}
TABLE = make_label_table({"background": 0, "ball": 1, "bone": 2})


def ball(shape, affine, radius=13.0):
    """A ball that is not centred on a voxel, and its centre (mm, RAS)."""
    points = points_of(shape, affine)
    centre = points.mean(axis=(1, 2, 3)) + np.array([0.31, -0.17, 0.42])
    return np.linalg.norm(points - centre[:, None, None, None], axis=0) < radius, centre


def save(folder, labels, affine, *, table=TABLE, change=None):
    scan = make_series(folder / "scan", labels.shape, affine, change=change)
    save_label_map(labels, folder / "a_rtstruct.dcm", scan=scan, affine=affine, table=table)
    return folder / "a_rtstruct.dcm"


def contours_of(file):
    """Corners in mm (LPS) by structure's name and by the slice that each contour refers to, by pydicom alone."""
    dataset = pydicom.dcmread(file)
    names = {roi.ROINumber: roi.ROIName for roi in dataset.StructureSetROISequence}
    found = {}
    for outlined in dataset.ROIContourSequence:
        found[names[outlined.ReferencedROINumber]] = [
            (
                str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID),
                np.array(contour.ContourData, float).reshape(contour.NumberOfContourPoints, 3),
            )
            for contour in outlined.get("ContourSequence", [])
        ]
    return dataset, found


def read_back(file, shape, affine, name):
    structure = next(one for one in read_structure_set(file).structures if one.name == name)
    filled = fill_contours(structure.contours, affine, shape, "a")
    mask = np.zeros(shape, bool)
    mask[filled.box] = filled.mask
    return mask


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "spacing", "angles"), GRIDS.values(), ids=GRIDS)
def test_the_outlines_of_a_ball_are_on_its_surface(tmp_path, shape, spacing, angles):
    """In each slice the corners are within a fraction of a pixel of the analytic circle, and enclose its area."""
    affine = make_affine(shape, spacing, angles)
    inside, centre = ball(shape, affine)
    _, found = contours_of(save(tmp_path, inside.astype(np.uint8), affine))
    lps_centre = centre * [-1, -1, 1]
    normal = LPS[:3, :3] @ affine[:3, 2] / spacing[2]
    errors, areas, circles = [], 0, 0
    for uid, points in found["ball"]:
        number = int(uid.rpartition(".")[2]) - 1
        plane = (LPS @ affine @ [0, 0, number, 1])[:3]
        np.testing.assert_allclose((points - plane) @ normal, 0, atol=1e-2)
        height = (plane - lps_centre) @ normal
        radius = np.sqrt(13.0**2 - height**2)
        flat = points - lps_centre - height * normal
        errors += ((np.linalg.norm(flat, axis=1) - radius) / np.mean(spacing[:2])).tolist()
        areas += np.linalg.norm(np.cross(points - points[0], np.roll(points, -1, axis=0) - points[0]).sum(axis=0)) / 2
        circles += np.pi * radius**2
    assert np.mean(np.abs(errors)) < 0.3
    assert np.max(np.abs(errors)) < 1
    assert areas == pytest.approx(circles, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "spacing", "angles"), GRIDS.values(), ids=GRIDS)
def test_a_label_map_comes_back_voxel_by_voxel(tmp_path, shape, spacing, angles):
    """A ball with a hole in it, and noise around it."""
    affine = make_affine(shape, spacing, angles)
    labels = (np.random.default_rng(0).random(shape) < 0.004).astype(np.uint8) * 2
    labels[ball(shape, affine)[0]] = 1
    labels[ball(shape, affine, 5)[0]] = 0
    file = save(tmp_path, labels, affine)
    for value, name in ((1, "ball"), (2, "bone")):
        np.testing.assert_array_equal(read_back(file, shape, affine, name), labels == value)
    image = str(tmp_path / "scan")
    np.testing.assert_allclose(read_header(image).affine, affine, atol=1e-5)
    content = read_structure_set(file)
    check_same_scan(content, list(content.structures), image)


def test_contours_are_the_bytes_that_pydicom_writes(tmp_path, monkeypatch, caplog):
    """Read back and written again by pydicom alone; of many contours a warning says so while they are written."""
    monkeypatch.setattr(rtstruct_contours, "MANY_CONTOURS", 10)
    shape, spacing, angles = GRIDS["oblique, all unlike"]
    affine = make_affine(shape, spacing, angles)
    labels = (np.random.default_rng(0).random(shape) < 0.002).astype(np.uint8)
    file = save(tmp_path, labels, affine)
    dataset = pydicom.dcmread(file)
    for outlined in dataset.ROIContourSequence:
        for contour in outlined.get("ContourSequence", []):
            contour.ContourNumber = contour.ContourNumber  # decoded, and so encoded again
    dataset.save_as(tmp_path / "again.dcm", enforce_file_format=True)
    assert (tmp_path / "again.dcm").read_bytes() == file.read_bytes()
    [text] = [one.getMessage() for one in caplog.records if one.name == rtstruct_contours.__name__]
    assert "slices, as of a noisy label map" in text


def test_other_readers_see_the_same(tmp_path):
    """rt-utils fills outlines at whole pixels, and mixes up rows and columns of images that are not square."""
    rt_utils = pytest.importorskip("rt_utils", reason="a peer: pip install rt-utils")
    shape, spacing, angles = GRIDS["oblique"]
    affine = make_affine(shape, spacing, angles)
    inside, _ = ball(shape, affine)
    file = save(tmp_path, inside.astype(np.uint8), affine)
    builder = rt_utils.RTStructBuilder.create_from(str(tmp_path / "scan"), str(file))
    assert builder.get_roi_names() == ["ball", "bone"]
    theirs = np.swapaxes(builder.get_roi_mask_by_name("ball"), 0, 1)
    assert 2 * (theirs & inside).sum() / (theirs.sum() + inside.sum()) > 0.9


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="a peer: apt-get install plastimatch")
@pytest.mark.parametrize("name", ["1 mm", "thick slices"])
def test_plastimatch_sees_the_same(tmp_path, name):
    """It rasterises outlines itself, in the scan's grid. Version 1.9.4 does so in upright series alone."""
    shape, spacing, angles = GRIDS[name]
    affine = make_affine(shape, spacing, angles)
    inside, _ = ball(shape, affine)
    inside[20:24, 18:22, shape[2] // 2 - 2 : shape[2] // 2 + 2] = False  # a hole
    file = save(tmp_path, inside.astype(np.uint8), affine)
    options = ["--input", file, "--referenced-ct", tmp_path / "scan", "--output-prefix", tmp_path / "out"]
    subprocess.run(["plastimatch", "convert", *options, "--prefix-format", "nrrd"], check=True, capture_output=True)
    theirs = sitk.ReadImage(str(tmp_path / "out" / "ball.nrrd"))
    np.testing.assert_allclose(theirs.GetSpacing(), spacing, atol=1e-4)
    masks = sitk.GetArrayFromImage(theirs).T > 0
    assert 2 * (masks & inside).sum() / (masks.sum() + inside.sum()) > 0.999


def test_names_colours_and_references(tmp_path):
    def change(dataset, number):
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "Müller^Jörg"
        dataset.SeriesNumber = 3

    shape = (12, 10, 6)
    affine = make_affine(shape, (1, 1, 2))
    labels = np.zeros(shape, np.uint8)
    labels[3:6, 3:6, 2:4] = 2
    table = [Label(2, "left lung", (255, 0, 0)), Label(7, "übrig " + "n" * 70, (0, 0, 255))]
    dataset, found = contours_of(save(tmp_path, labels, affine, table=table, change=change))
    assert [(roi.ROINumber, roi.ROIName) for roi in dataset.StructureSetROISequence] == [
        (2, "left lung"),
        (7, "übrig " + "n" * 58),
    ]
    assert [list(one.ROIDisplayColor) for one in dataset.ROIContourSequence] == [[255, 0, 0], [0, 0, 255]]
    assert [len(contours) for contours in found.values()] == [2, 0]
    assert [uid for uid, _ in found["left lung"]] == [f"{UID}9.1.3", f"{UID}9.1.4"]
    frame = dataset.ReferencedFrameOfReferenceSequence[0]
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert (frame.FrameOfReferenceUID, series.SeriesInstanceUID) == (FRAME, SERIES)
    assert [str(one.ReferencedSOPInstanceUID) for one in series.ContourImageSequence] == [
        f"{UID}9.1.{number + 1}" for number in range(6)
    ]
    assert {roi.ReferencedFrameOfReferenceUID for roi in dataset.StructureSetROISequence} == {FRAME}
    assert str(dataset.PatientName) == "Müller^Jörg"
    assert (dataset.PatientID, dataset.SeriesNumber) == ("1", 1003)
    assert (dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == (f"{UID}1", FRAME)
    assert dataset.SeriesInstanceUID != SERIES
    assert (dataset.Modality, dataset.ApprovalStatus, dataset.SoftwareVersions) == (
        "RTSTRUCT",
        "UNAPPROVED",
        __version__,
    )
    assert dataset.StructureSetDate == "20200102"
    assert all(isinstance(value, DSfloat) for value in dataset.ROIContourSequence[0].ContourSequence[0].ContourData)


@pytest.mark.parametrize(("order", "shared"), [((3, 0, 4, 2, 1), True), ((4, 3, 2, 1, 0), False)])
def test_of_an_enhanced_scan_it_refers_to_the_frames(tmp_path, order, shared):
    """Frames in any order; each outline names the frame in whose plane it is."""
    scan = enhanced(tmp_path / "scan.dcm", order, shared=shared)
    check_rtstruct_source(scan)
    save_label_map(labels(), tmp_path / "a_rtstruct.dcm", scan=scan, affine=AFFINE, table=TWO)
    dataset = pydicom.dcmread(tmp_path / "a_rtstruct.dcm")
    for outlined in dataset.ROIContourSequence:
        for contour in outlined.ContourSequence:
            reference = contour.ContourImageSequence[0]
            number = order[reference.ReferencedFrameNumber - 1]
            points = np.reshape(np.array(contour.ContourData, float), (-1, 3)) - (CORNER + number * STEP)
            np.testing.assert_allclose(points @ STEP, 0, atol=0.01)
            assert reference.ReferencedSOPInstanceUID == "1.2.3.4.9"
    for value, name in ((2, "left lung"), (7, TWO[1].name[:64])):
        mask = read_back(tmp_path / "a_rtstruct.dcm", labels().shape, AFFINE, name)
        np.testing.assert_array_equal(mask, labels() == value)


def test_the_same_input_gives_the_same_file(tmp_path):
    shape = (12, 10, 6)
    affine = make_affine(shape, (1, 1, 2))
    labels = np.zeros(shape, np.uint8)
    labels[3:6, 3:6, 2:4] = 1
    files = [save(tmp_path / name, labels, affine).read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]
    labels[0, 0, 0] = 1
    assert save(tmp_path / "c", labels, affine).read_bytes() != files[0]


def test_long_outlines_are_whole(tmp_path):
    """Explicit transfer syntaxes hold 65,534 bytes of numbers per outline."""
    shape = (120, 120, 2)
    affine = make_affine(shape, (1, 1, 2))
    labels = np.zeros(shape, np.uint8)
    labels[::2] = 1
    labels[:, 0] = 1
    file = save(tmp_path, labels, affine)
    _, found = contours_of(file)
    assert max(len(points) for _, points in found["ball"]) * 3 * 8 > 4000
    np.testing.assert_array_equal(read_back(file, shape, affine, "ball"), labels == 1)


def test_regions_may_overlap(tmp_path):
    shape = (12, 10, 6)
    affine = make_affine(shape, (1, 1, 2))
    patterns = np.zeros(shape, np.uint16)
    patterns[2:9, 2:9, 1:5] |= 1
    patterns[4:6, 4:6, 2:4] |= 2
    scan = make_series(tmp_path / "scan", shape, affine)
    table = [Label(1, "whole", (255, 0, 0)), Label(2, "core", (0, 255, 0))]
    file = tmp_path / "a_regions_rtstruct.dcm"
    save_regions(patterns, file, scan=scan, affine=affine, table=table)
    for place, name in enumerate(("whole", "core")):
        np.testing.assert_array_equal(read_back(file, shape, affine, name), (patterns >> place) & 1 == 1)


def test_what_cannot_be_written(tmp_path):
    shape = (12, 10, 6)
    affine = make_affine(shape, (1, 1, 2))
    labels = np.full(shape, 3, np.uint8)
    with pytest.raises(InputError, match="label 3, which has no name"):
        save(tmp_path, labels, affine)
    with pytest.raises(InputError, match=r"scan\.nii\.gz.*no folder.*one DICOM series.*NIfTI or NRRD"):
        check_rtstruct_source(tmp_path / "scan.nii.gz")
    with pytest.raises(InputError, match="do not match the label map"):
        save_label_map(labels[1:] // 3, tmp_path / "b_rtstruct.dcm", scan=tmp_path / "scan", affine=affine, table=TABLE)
    assert [path.name for path in tmp_path.iterdir()] == ["scan"]
