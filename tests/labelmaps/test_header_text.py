"""What of a scan's texts reaches the files written for it: nothing that names a patient, unless it is asked for."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from pipeline.data.images.door import open_image, read_header, read_volume
from pipeline.data.masks.files import write_label_map
from pipeline.labelmaps.label_table import make_label_table
from pipeline.labelmaps.nifti import read_scan_grid
from pipeline.labelmaps.save import save_label_map, save_volume
from pipeline.labelmaps.save_regions import save_region, save_regions

from .test_dicom_seg import AFFINE as DICOM_AFFINE
from .test_dicom_seg import TABLE as DICOM_TABLE
from .test_dicom_seg import labels as dicom_labels
from .test_dicom_seg import needs_highdicom, series

SECRET = b"Doe^Jane"
SHAPE = (5, 4, 3)
AFFINE = np.array([[-2.0, 0, 0, 7], [0, 1.5, 0.25, -3], [0, 0, 3, 11], [0, 0, 0, 1]])
TABLE = make_label_table({"background": 0, "a": 1, "b": 2})
# Places of a NIfTI header's geometry in its bytes, from the standard: pixdim, xyzt_units, from qform_code to srow_z.
PLACES = {348: ((76, 108), (123, 124), (252, 328)), 540: ((104, 168), (500, 504), (344, 496))}
# Type 1 and 2 attributes of the modules of both IODs (PS3.3, A.51 and A.19.3), and of each.
BOTH = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime"),
    *("ReferringPhysicianName", "StudyID", "AccessionNumber", "Modality", "SeriesInstanceUID", "SeriesNumber"),
    *("Manufacturer", "FrameOfReferenceUID", "PositionReferenceIndicator", "SOPClassUID", "SOPInstanceUID"),
)
REQUIRED = {
    "a_seg.dcm": (
        *("ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "ImageType", "InstanceNumber"),
        *("ContentLabel", "ContentDescription", "ContentCreatorName", "ContentDate", "ContentTime"),
        *("SegmentationType", "SegmentSequence", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns"),
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames", "PixelData"),
        *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence"),
        *("DimensionIndexSequence", "LossyImageCompression"),
    ),
    "a_rtstruct.dcm": (
        *("OperatorsName", "StructureSetLabel", "StructureSetDate", "StructureSetTime", "StructureSetROISequence"),
        *("ROIContourSequence", "RTROIObservationsSequence"),
    ),
}


def labels():
    return np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)


def nifti(path, kind, order):
    """A NIfTI scan with a secret in each text and in an extension."""
    header = kind.header_class()
    header.set_data_dtype(np.int16)
    image = kind(np.zeros(SHAPE, np.int16), AFFINE, header.as_byteswapped(order))
    image.set_sform(AFFINE, code=2)
    image.set_qform(np.diag([1.0, 2, 3, 1]), code=3)
    for field in ("descrip", "aux_file", "db_name", "intent_name"):
        if field in image.header.keys():  # noqa: SIM118 - a header is no mapping
            image.header[field] = SECRET
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", SECRET))
    nib.save(image, path)
    return path


def content(file):
    raw = Path(file).read_bytes()
    return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw


def write_all(folder, scan, affine, **texts):
    """Every writer of label maps and volumes, and the files that it wrote."""
    header, found = read_header(scan), []
    for ending in (".nii.gz", ".seg.nrrd"):
        found.append(folder / f"a{ending}")
        save_label_map(labels(), found[-1], scan=header, affine=affine, table=TABLE, **texts)
        found.append(folder / f"regions{ending}")
        save_regions(labels(), found[-1], scan=header, affine=affine, table=TABLE, **texts)
        found.append(folder / f"one{ending}")
        save_region(labels(), 0, found[-1], scan=header, affine=affine, row=TABLE[0], **texts)
    found.append(folder / "prob.nii.gz")
    save_volume(np.zeros((*SHAPE, 2), np.float32), found[-1], scan=header, affine=affine, **texts)
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_of_a_nifti_header_only_the_geometry_is_copied(tmp_path, kind, order):
    scan = nifti(tmp_path / "scan.nii", kind, order)
    files = write_all(tmp_path, scan, read_scan_grid(scan)[2])
    mask = tmp_path / "merged.nii.gz"
    write_label_map(labels(), read_volume(str(scan)), mask)
    before = content(scan)
    size = struct.unpack(order + "i", before[:4])[0]
    for file in (*files, mask):
        after = content(file)
        assert SECRET not in after, file.name
        if file.name.endswith(".nii.gz"):
            assert all(after[slice(*place)] == before[slice(*place)] for place in PLACES[size]), file.name


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_texts_are_copied_on_request_and_extensions_never(tmp_path, kind):
    scan = nifti(tmp_path / "scan.nii", kind, "<")
    expected = 3 if kind is nib.Nifti1Image else 2
    for file in write_all(tmp_path, scan, read_scan_grid(scan)[2], keep_header_text=True):
        assert content(file).count(SECRET) == (expected if file.name.endswith(".nii.gz") else 0), file.name


def nrrd(path):
    head = (
        "NRRD0005\n# Doe^Jane\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: 5 4 3\n"
        "space directions: (2,0,0) (0,1,0) (0,0,3)\ncontent: Doe^Jane\nendian: little\nencoding: raw\n"
        "space origin: (1,2,3)\nPatient:=Doe^Jane\n\n"
    )
    path.write_bytes(head.encode() + bytes(120))


def meta(path):
    head = (
        "ObjectType = Image\nNDims = 3\nComment = Doe^Jane\nName = Doe^Jane\nElementSpacing = 1 1 1\n"
        "DimSize = 5 4 3\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(head.encode() + bytes(120))


@pytest.mark.parametrize(("name", "make"), [("scan.nrrd", nrrd), ("scan.mha", meta)])
def test_keys_and_comments_of_other_formats_stay_behind(tmp_path, name, make):
    make(tmp_path / name)
    affine = read_header(tmp_path / name).affine
    for file in write_all(tmp_path, tmp_path / name, affine, keep_header_text=True):
        assert SECRET not in content(file), file.name


@pytest.mark.parametrize("name", ["scan.png", "scan.tif"])
def test_texts_of_a_picture_stay_behind(tmp_path, name):
    texts, tags = PngImagePlugin.PngInfo(), TiffImagePlugin.ImageFileDirectory_v2()
    texts.add_text("Patient", SECRET.decode())
    tags[270] = SECRET.decode()  # ImageDescription
    picture = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5))
    picture.save(tmp_path / name, **({"pnginfo": texts} if name.endswith("png") else {"tiffinfo": tags}))
    assert SECRET in (tmp_path / name).read_bytes()
    with open_image(str(tmp_path / name)) as image:
        affine = image.header.affine
    for ending in (".png", ".nii.gz", ".nrrd"):
        target = tmp_path / f"a{ending}"
        save_label_map(labels()[..., 0], target, scan=tmp_path / name, affine=affine)
        assert SECRET not in content(target)


def speak(dataset, _):
    """Write a secret into every text of patient, study, series and request that is still empty."""
    for keyword in pydicom.datadict.keyword_dict:
        tag = pydicom.tag.Tag(keyword)
        species = keyword.startswith(("PatientSpecies", "PatientBreed"))
        texts = ("LO", "SH", "PN", "LT", "ST", "UT", "UC")
        if (
            not 8 <= tag.group <= 0x40
            or species
            or keyword in dataset
            or pydicom.datadict.dictionary_VR(tag) not in texts
        ):
            continue
        setattr(dataset, keyword, SECRET.decode())
    dataset.PatientAge, dataset.PositionReferenceIndicator = "077Y", ""
    dataset.DeidentificationMethod = "a method"
    dataset.private_block(0x0011, "OF A SCANNER", create=True).add_new(1, "LO", SECRET.decode())


@pytest.mark.slow
@needs_highdicom
@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("name", REQUIRED)
def test_a_dicom_file_has_what_is_required_and_no_other_text(tmp_path, name, anonymous):
    scan = series(tmp_path / "scan", change=speak)
    for number in (1, 2):
        target = tmp_path / str(number) / name
        target.parent.mkdir()
        save_label_map(dicom_labels(), target, scan=scan, affine=DICOM_AFFINE, table=DICOM_TABLE, anonymous=anonymous)
    raw = target.read_bytes()
    assert raw == (tmp_path / "1" / name).read_bytes()
    dataset = pydicom.dcmread(target)
    assert [keyword for keyword in (*BOTH, *REQUIRED[name]) if keyword not in dataset] == []
    assert SECRET not in raw
    assert b"077Y" not in raw
    # The references to the scan.
    assert (dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == ("1.2.3.1", "1.2.3.3")
    assert b"1.2.3.2" in raw
    private = ("Müller^Jörg".encode(), b"20200102", b"030405")
    assert [text in raw for text in private] == [not anonymous] * 3
    if anonymous:
        assert dataset.PatientID.startswith("ANON-")
        assert (dataset.PatientIdentityRemoved, dataset.PatientBirthDate, dataset.PatientSex) == ("YES", "", "")
        assert (dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber) == ("", "", "", "")
        assert max(map(len, dataset.DeidentificationMethod)) <= 64
    else:
        assert (str(dataset.PatientName), dataset.PatientID) == ("Müller^Jörg", "7")


@needs_highdicom
@pytest.mark.parametrize("name", REQUIRED)
def test_an_animal_keeps_its_species_and_not_its_owner(tmp_path, name):
    def change(dataset, _):
        dataset.PatientSpeciesDescription, dataset.PatientBreedDescription = "Canis lupus familiaris", "Beagle"
        dataset.ResponsiblePerson, dataset.ResponsiblePersonRole = SECRET.decode(), "OWNER"

    scan = series(tmp_path / "scan", change=change)
    save_label_map(dicom_labels(), tmp_path / name, scan=scan, affine=DICOM_AFFINE, table=DICOM_TABLE)
    dataset = pydicom.dcmread(tmp_path / name)
    assert (dataset.PatientSpeciesDescription, dataset.PatientBreedDescription) == ("Canis lupus familiaris", "Beagle")
    assert dataset.ResponsiblePerson == ""
