import importlib.util
import logging
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import LoadImage

from pipeline import __version__
from pipeline.data.errors import InputError
from pipeline.labelmaps.dicom_seg import check_source
from pipeline.labelmaps.label_table import Label, make_label_table
from pipeline.labelmaps.save import save_label_map

HAS_HIGHDICOM = importlib.util.find_spec("highdicom") is not None
needs_highdicom = pytest.mark.skipif(not HAS_HIGHDICOM, reason="no highdicom: pip install 'lightskip[dicom]'")

COLUMNS, ROWS, SLICES = 8, 6, 5
# In LPS (mm): along a row, down a column, to the next slice; the slices' centres from this corner.
ALONG, DOWN = np.array([0.8, 0.6, 0]), np.array([-0.48, 0.64, 0.6])
STEP = 2.5 * np.cross(ALONG, DOWN)
CORNER = np.array([10.0, -20, 30])
AFFINE = np.eye(4)
AFFINE[:3] = np.diag([-1, -1, 1]) @ np.stack([0.7 * ALONG, 0.9 * DOWN, STEP, CORNER], axis=1)
TABLE = [Label(2, "left lung", (255, 0, 0)), Label(7, "übrig " + "n" * 70, (0, 0, 255))]


def labels():
    return np.random.default_rng(0).choice(np.array([0, 2, 7], np.uint8), (COLUMNS, ROWS, SLICES))


def series(folder, *, change=None, change_file=None):
    """CT slices whose file names and numbers run against their places."""
    import pydicom  # noqa: PLC0415
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian  # noqa: PLC0415

    folder.mkdir()
    for number in range(SLICES):
        dataset = pydicom.Dataset()
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = f"1.2.3.4.{number + 1}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = (
            "1.2.3.1",
            "1.2.3.2",
            "1.2.3.3",
        )
        dataset.Modality = "CT"
        dataset.PatientName, dataset.PatientID = "Müller^Jörg", "7"
        dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = dataset.AccessionNumber = ""
        dataset.StudyDate, dataset.StudyTime, dataset.ReferringPhysicianName = "20200102", "030405", ""
        dataset.SeriesNumber, dataset.InstanceNumber = 3, number + 1
        dataset.Manufacturer = ""
        dataset.ImagePositionPatient = (CORNER + number * STEP).tolist()
        dataset.ImageOrientationPatient = [*ALONG.tolist(), *DOWN.tolist()]
        dataset.PixelSpacing, dataset.SliceThickness = [0.9, 0.7], 2.5
        dataset.Rows, dataset.Columns = ROWS, COLUMNS
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.PixelData = bytes(2 * ROWS * COLUMNS)
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if change is not None:
            change(dataset, number)
        file = folder / f"{SLICES - number * 2 % SLICES:03d}.dcm"
        dataset.save_as(file, enforce_file_format=True)
        if change_file is not None:
            dataset = pydicom.dcmread(file)
            change_file(dataset)
            dataset.save_as(file, enforce_file_format=False)
    return folder


def masks(path):
    """Return (slice's place, segment number) and mask (row, column) of every frame, as pydicom alone reads them."""
    import pydicom  # noqa: PLC0415

    dataset = pydicom.dcmread(path)
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    found = []
    for groups, frame in zip(dataset.PerFrameFunctionalGroupsSequence, frames, strict=True):
        place = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found.append((place, str(source), int(number), frame.astype(bool)))
    return dataset, found


@needs_highdicom
def test_each_frame_lies_on_its_slice(tmp_path):
    scan = series(tmp_path / "scan")
    save_label_map(labels(), tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)
    _, found = masks(tmp_path / "a.dcm")
    assert len(found) == 2 * SLICES
    for place, source, number, mask in found:
        k = int(source.rpartition(".")[2]) - 1
        np.testing.assert_allclose(place, CORNER + k * STEP, atol=1e-6)
        np.testing.assert_array_equal(mask.T, labels()[:, :, k] == [2, 7][number - 1])


@needs_highdicom
def test_it_tells_what_the_labels_are_and_whose(tmp_path):
    from highdicom.color import CIELabColor  # noqa: PLC0415

    save_label_map(labels(), tmp_path / "a.dcm", scan=series(tmp_path / "scan"), affine=AFFINE, table=TABLE)
    dataset, _ = masks(tmp_path / "a.dcm")
    assert [segment.SegmentNumber for segment in dataset.SegmentSequence] == [1, 2]
    assert [segment.SegmentLabel for segment in dataset.SegmentSequence] == ["left lung", "übrig " + "n" * 58]
    for segment, label in zip(dataset.SegmentSequence, TABLE, strict=True):
        colour = CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb(clip=True)
        assert np.abs(np.subtract(colour, label.colour)).max() <= 2
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("LightSkip", __version__)
    assert str(dataset.PatientName) == "Müller^Jörg"
    assert (dataset.PatientID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == ("7", "1.2.3.1", "1.2.3.3")
    assert dataset.SeriesInstanceUID != "1.2.3.2"
    assert (dataset.Modality, dataset.SegmentationType, dataset.SeriesNumber) == ("SEG", "BINARY", 1003)
    assert all(uid.is_valid for uid in (dataset.SOPInstanceUID, dataset.SeriesInstanceUID))


TURNS = {
    "as read": lambda array, matrix: (array, matrix),
    "flipped": lambda array, matrix: (array[::-1, :, ::-1], matrix @ flip(0, COLUMNS) @ flip(2, SLICES)),
    "swapped": lambda array, matrix: (array.transpose(2, 0, 1), matrix[:, [2, 0, 1, 3]]),
    "both": lambda array, matrix: (
        array[:, ::-1].transpose(1, 2, 0),
        (matrix @ flip(1, ROWS))[:, [1, 2, 0, 3]],
    ),
}


def flip(axis, size):
    matrix = np.eye(4)
    matrix[axis, axis], matrix[axis, 3] = -1, size - 1
    return matrix


@needs_highdicom
@pytest.mark.parametrize("turn", TURNS)
def test_places_count_and_not_the_order_of_axes(tmp_path, turn):
    scan = series(tmp_path / "scan")
    array, matrix = TURNS[turn](labels(), AFFINE)
    save_label_map(array, tmp_path / "a.dcm", scan=scan, affine=matrix, table=TABLE)
    _, found = masks(tmp_path / "a.dcm")
    assert len(found) == 2 * SLICES
    for place, _, number, mask in found:
        k = round(float((place - CORNER) @ STEP / (STEP @ STEP)))
        np.testing.assert_array_equal(mask.T, labels()[:, :, k] == [2, 7][number - 1])


@needs_highdicom
def test_the_same_input_gives_the_same_file_and_another_another(tmp_path):
    scan = series(tmp_path / "scan")
    for name, array in (("a.dcm", labels()), ("b.dcm", labels().astype(float)), ("c.dcm", labels()[::-1])):
        save_label_map(array, tmp_path / name, scan=str(scan), affine=AFFINE, table=TABLE)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    uids = [masks(tmp_path / name)[0].SOPInstanceUID for name in ("a.dcm", "b.dcm", "c.dcm")]
    assert uids[0] == uids[1] != uids[2]


@needs_highdicom
def test_a_patient_s_name_of_one_word_is_copied_without_a_warning(tmp_path, recwarn):
    scan = series(tmp_path / "scan", change=lambda dataset, _: setattr(dataset, "PatientName", "Anonymous"))
    save_label_map(labels(), tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)
    assert str(masks(tmp_path / "a.dcm")[0].PatientName) == "Anonymous"
    assert not [one for one in recwarn if "person name" in str(one.message)]


@needs_highdicom
def test_no_foreground_is_a_valid_file(tmp_path):
    scan = series(tmp_path / "scan")
    save_label_map(labels() * 0, tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)
    dataset, found = masks(tmp_path / "a.dcm")
    assert found
    assert not any(mask.any() for *_, mask in found)
    assert len(dataset.SegmentSequence) == 2


def tilted(dataset, number):
    dataset.ImagePositionPatient = (CORNER + number * (STEP + 0.5 * DOWN)).tolist()


@needs_highdicom
def test_a_tilted_gantry_keeps_every_slice_in_its_own_place(tmp_path):
    # Readers of the series give all slices the first one's place, across a right angle.
    scan = series(tmp_path / "scan", change=tilted)
    save_label_map(labels(), tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)
    _, found = masks(tmp_path / "a.dcm")
    assert len(found) == 2 * SLICES
    for place, source, number, mask in found:
        k = int(source.rpartition(".")[2]) - 1
        np.testing.assert_allclose(place, CORNER + k * (STEP + 0.5 * DOWN), atol=1e-6)
        np.testing.assert_array_equal(mask.T, labels()[:, :, k] == [2, 7][number - 1])


def without(*names):
    def change(dataset, number):
        for name in names:
            delattr(dataset, name)

    return change


def empty_uids(dataset, number):
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = ""


@needs_highdicom
def test_slices_without_identifiers_get_some(tmp_path, caplog):
    scan = series(tmp_path / "scan", change=empty_uids)
    for name in ("a.dcm", "b.dcm"):
        with caplog.at_level(logging.WARNING, logger="pipeline.labelmaps.dicom_seg"):
            save_label_map(labels(), tmp_path / name, scan=scan, affine=AFFINE, table=TABLE)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    dataset, _ = masks(tmp_path / "a.dcm")
    assert dataset.StudyInstanceUID.is_valid
    assert "SeriesInstanceUID, StudyInstanceUID" in caplog.text


def without_meta(dataset):
    del dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID


def without_own(dataset):
    del dataset.SOPClassUID
    dataset.SOPInstanceUID = ""


@needs_highdicom
@pytest.mark.parametrize("change", [without_meta, without_own])
def test_a_slice_is_named_in_its_file_header_or_in_the_data_set(tmp_path, change):
    from pydicom.uid import CTImageStorage  # noqa: PLC0415

    scan = series(tmp_path / "scan", change_file=change)
    save_label_map(labels(), tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)
    dataset, found = masks(tmp_path / "a.dcm")
    assert {source for _, source, *_ in found} == {f"1.2.3.4.{number + 1}" for number in range(SLICES)}
    instances = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {instance.ReferencedSOPClassUID for instance in instances} == {CTImageStorage}


@needs_highdicom
def test_a_slice_that_is_named_nowhere_is_refused(tmp_path):
    scan = series(tmp_path / "scan", change_file=lambda dataset: (without_meta(dataset), without_own(dataset)))
    with pytest.raises(InputError, match="a slice without a SOPClassUID"):
        save_label_map(labels(), tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)
    assert not (tmp_path / "a.dcm").exists()


def other_series(dataset, number):
    dataset.SeriesInstanceUID = f"1.2.3.{number // 3 + 5}"


def twice(dataset, number):
    dataset.ImagePositionPatient = CORNER.tolist()


def turned(dataset, number):
    if number == 2:
        dataset.ImageOrientationPatient = [*(-ALONG).tolist(), *DOWN.tolist()]


SHIFTED = AFFINE + np.array([[0, 0, 0, 0.2], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
OBLIQUE = AFFINE @ np.array([[0.7, 0.7, 0, 0], [-0.7, 0.7, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@needs_highdicom
@pytest.mark.parametrize(
    ("change", "matrix", "words"),
    [
        (None, SHIFTED, "that do not match the label map"),
        (None, OBLIQUE, "that do not match the label map"),
        (None, AFFINE @ np.diag([1, 1, 1.5, 1]), "that do not match the label map"),
        (twice, AFFINE, "that do not match the label map"),
        (turned, AFFINE, "that do not match the label map"),
        (other_series, AFFINE, "2 series"),
        (without("PixelSpacing"), AFFINE, "0 series"),
    ],
)
def test_a_series_that_does_not_fit_is_refused(tmp_path, change, matrix, words):
    scan = series(tmp_path / "scan", change=change)
    with pytest.raises(InputError, match=words):
        save_label_map(labels(), tmp_path / "out" / "a.dcm", scan=scan, affine=matrix, table=TABLE)
    assert not (tmp_path / "out").exists()


EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "StudyTime")


@needs_highdicom
def test_what_may_be_empty_is_written_empty(tmp_path):
    scan = series(tmp_path / "scan", change=without(*EMPTY, "ReferringPhysicianName", "StudyDate"))
    check_source(scan)
    save_label_map(labels(), tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)
    dataset, found = masks(tmp_path / "a.dcm")
    assert len(found) == 2 * SLICES
    assert [dataset.get(name) or "" for name in EMPTY] == [""] * len(EMPTY)
    assert all(name in dataset for name in EMPTY)


def enhanced(file, order, *, shared=True):
    """An enhanced MR with the slices of `series` in this order."""
    import pydicom  # noqa: PLC0415
    from pydicom.uid import EnhancedMRImageStorage  # noqa: PLC0415

    plain = series(file.parent / "plain")
    dataset = pydicom.dcmread(next(iter(sorted(plain.iterdir()))))
    dataset.SOPClassUID = EnhancedMRImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.Modality, dataset.NumberOfFrames = "MR", SLICES
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.9"
    dataset.PixelData = bytes(2 * SLICES * ROWS * COLUMNS)
    measures, turn = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.9, 0.7], 2.0
    turn.ImageOrientationPatient = [*ALONG.tolist(), *DOWN.tolist()]
    dataset.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
    dataset.PerFrameFunctionalGroupsSequence = []
    for number in order:
        frame, place = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = (CORNER + number * STEP).tolist()
        frame.PlanePositionSequence = [place]
        dataset.PerFrameFunctionalGroupsSequence.append(frame)
        for groups in [frame] * (not shared) or dataset.SharedFunctionalGroupsSequence:
            groups.PixelMeasuresSequence, groups.PlaneOrientationSequence = [measures], [turn]
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, name)
    dataset.save_as(file, enforce_file_format=True)
    return file


@needs_highdicom
@pytest.mark.parametrize(
    ("order", "shared"), [((0, 1, 2, 3, 4), True), ((3, 0, 4, 2, 1), True), ((4, 3, 2, 1, 0), False)]
)
def test_of_an_enhanced_scan_it_refers_to_the_frames(tmp_path, order, shared):
    scan = enhanced(tmp_path / "scan.dcm", order, shared=shared)
    check_source(scan)
    save_label_map(labels(), tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)
    dataset, found = masks(tmp_path / "a.dcm")
    assert len(found) == 2 * SLICES
    for (place, source, number, mask), groups in zip(found, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        k = round(float((place - CORNER) @ STEP / (STEP @ STEP)))
        np.testing.assert_allclose(place, CORNER + k * STEP, atol=1e-6)
        assert source == "1.2.3.4.9"
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert np.ravel(image.ReferencedFrameNumber).tolist() == [order.index(k) + 1]
        np.testing.assert_array_equal(mask.T, labels()[:, :, k] == [2, 7][number - 1])


@needs_highdicom
@pytest.mark.parametrize(
    ("change", "words"),
    [(other_series, "2 series"), (without("PixelSpacing"), "0 series"), (without("SOPClassUID"), None)],
)
def test_it_is_checked_before_anything_is_computed(tmp_path, change, words):
    scan = series(tmp_path / "scan", change=change if words else None)
    if words is None:
        scan = series(tmp_path / "bare", change_file=lambda dataset: (without_meta(dataset), without_own(dataset)))
        words = "a slice without a SOPClassUID"
    with pytest.raises(InputError, match=words):
        check_source(scan)


@needs_highdicom
def test_a_label_map_of_another_shape_is_refused(tmp_path):
    scan = series(tmp_path / "scan")
    with pytest.raises(InputError, match=r"5 slices of 8 x 6.*8 x 6 x 4"):
        save_label_map(labels()[..., :4], tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=TABLE)


@needs_highdicom
@pytest.mark.parametrize(("table", "words"), [(TABLE[:1], "label 7"), (TABLE[1:], "label 2"), ([], "without names")])
def test_a_label_without_a_name_is_refused(tmp_path, table, words):
    scan = series(tmp_path / "scan")
    with pytest.raises(InputError, match=words):
        save_label_map(labels(), tmp_path / "a.dcm", scan=scan, affine=AFFINE, table=table)


@needs_highdicom
@pytest.mark.parametrize("scan", [None, "scan.nrrd", "missing"])
def test_another_scan_than_a_series_is_refused(tmp_path, scan):
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(InputError, match="folder of one DICOM series"):
        save_label_map(labels(), tmp_path / "a.dcm", scan=scan and tmp_path / scan, affine=AFFINE, table=TABLE)


def test_without_highdicom_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InputError, match=r"pip install 'lightskip\[dicom\]'"):
        save_label_map(labels(), tmp_path / "a.dcm", scan=tmp_path, affine=AFFINE, table=TABLE)
    with pytest.raises(InputError, match=r"pip install 'lightskip\[dicom\]'"):
        check_source(tmp_path)


@pytest.mark.slow
@pytest.mark.real
@needs_highdicom
def test_a_real_series_as_gdcm_reads_it(real_data, tmp_path):
    folder = real_data / "ct_dicom"
    scan = LoadImage(image_only=True, dtype=None)(str(folder))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    other = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(other).T, scan.numpy())

    # Regions that the scan itself gives: air, soft tissue, bone.
    label_map = np.digitize(scan.numpy(), [-500, 150]).astype(np.uint8)
    label_map[:, :, 3] = 0
    table = make_label_table({"air": 0, "soft tissue": 1, "bone": 2})
    save_label_map(label_map, tmp_path / "a.dcm", scan=folder, affine=scan.affine.numpy(), table=table)

    _, found = masks(tmp_path / "a.dcm")
    again = np.zeros(sitk.GetArrayFromImage(other).shape, np.uint8)
    for place, _, number, mask in found:
        column, row, k = other.TransformPhysicalPointToIndex(place.tolist())
        assert (column, row) == (0, 0)
        assert other.TransformIndexToPhysicalPoint((0, 0, k)) == pytest.approx(place, abs=1e-4)
        assert not (again[k] & mask).any()
        again[k][mask] = number
    np.testing.assert_array_equal(again.T, label_map)

    import highdicom  # noqa: PLC0415

    volume = highdicom.seg.segread(tmp_path / "a.dcm").get_volume(combine_segments=True)
    for index in [(0, 0, 0), (5, 100, 200), (16, 511, 0)]:
        point = volume.affine @ [*index, 1]
        place = other.TransformPhysicalPointToIndex(point[:3].tolist())
        assert volume.array[index] == label_map[place]
