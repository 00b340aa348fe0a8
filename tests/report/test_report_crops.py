import base64
import gzip

import nibabel
import numpy as np
import pytest

from pipeline.labelmaps.palette import hex_colour
from pipeline.report.report_crops import pack_volumes
from pipeline.report.report_volumes import REFERENCE, CaseVolumes

AFFINE = np.array([[0, 2.0, 0, 5], [-1, 0, 0, 7], [0, 0, 3.0, -9], [0, 0, 0, 1]])


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    reference = np.zeros((24, 20, 16), np.int16)
    reference[4:12, 5:15, 3:9] = 300
    reference[13:20, 5:15, 3:9] = 7
    prediction = np.roll(reference, 2, axis=1)
    scan = rng.normal(size=reference.shape) + (reference > 0) * 5
    entropy = (prediction != reference).astype(np.float32)
    return CaseVolumes(scan, {REFERENCE: reference, "a": prediction}, entropy, AFFINE, (0, 0, 0), reference.shape)


def unpack(pack):
    """The volumes as the page's script gets them: NIfTI images, label maps combined with the first."""
    content, at, first, images = gzip.decompress(base64.b64decode(pack.text)), 0, None, {}
    for title, kind, size, _ in pack.blocks:
        block = bytearray(content[at : at + size])
        at += size
        if kind == "labels" and first is not None:
            block[352:] = bytes(np.frombuffer(block[352:], np.uint8) ^ np.frombuffer(first[352:], np.uint8))
        first = block if first is None else first
        images[title] = nibabel.Nifti1Image.from_bytes(bytes(block))
    assert at == len(content)
    return images


def test_volumes_come_back_as_nifti_images_in_their_place(found):
    pack = pack_volumes(found, ["a"], max_bytes=10**6)
    images = unpack(pack)
    assert list(images) == ["reference", "a", "uncertainty", "scan"]
    assert [number for *_, number in pack.blocks] == [-1, 0, -2, -2]
    assert (list(pack.values), list(pack.colours)) == ([7, 300], [hex_colour(7), hex_colour(300)])
    for image in images.values():
        np.testing.assert_allclose(image.affine, AFFINE)
        assert image.get_data_dtype() == np.uint8
    for title, key in (("reference", REFERENCE), ("a", "a")):
        numbers = np.asarray(images[title].dataobj)
        np.testing.assert_array_equal(np.array([0, 7, 300])[numbers], found.maps[key])
    np.testing.assert_array_equal(np.asarray(images["uncertainty"].dataobj) > 0, found.entropy > 0)
    grey = np.asarray(images["scan"].dataobj)
    # Greys keep the order of the scan's values.
    order = np.argsort(found.scan, axis=None)
    assert (np.diff(grey.ravel()[order].astype(int)) >= 0).all()
    assert pack.note == ""


def test_a_small_page_gets_coarser_scans_before_coarser_label_maps(found):
    whole = pack_volumes(found, ["a"], max_bytes=10**6)
    small = pack_volumes(found, ["a"], max_bytes=len(whole.text) // 2)
    assert len(small.text) <= len(whole.text) // 2
    assert "levels of grey" in small.note or "larger" in small.note or "times as large" in small.note
    images = unpack(small)
    assert images["reference"].shape == found.shape
    # The middle of the volume stays where it is.
    scan = images["scan"]
    middle = scan.affine @ [*(np.array(scan.shape) - 1) / 2, 1]
    np.testing.assert_allclose(middle, AFFINE @ [*(np.array(found.shape) - 1) / 2, 1], atol=1.6)
    assert pack_volumes(found, ["a"], max_bytes=10) is None


def test_the_viewer_starts_in_the_slices_of_the_pictures(found):
    reference = np.zeros(found.shape, np.int16)
    reference[5, 6, 7] = 1
    found.maps = {REFERENCE: reference}
    pack = pack_volumes(found, [], max_bytes=10**6)
    np.testing.assert_allclose(pack.middle, (AFFINE @ [5, 6, 7, 1])[:3], atol=1e-3)


def test_pictures_and_cases_without_label_maps_have_no_volumes(found):
    found.maps = {}
    assert pack_volumes(found, ["a"], max_bytes=10**6) is None
    flat = CaseVolumes(None, {REFERENCE: np.ones((4, 4), np.uint8)}, None, np.eye(4), (0, 0), (4, 4))
    assert pack_volumes(flat, [], max_bytes=10**6) is None


def test_without_a_scan_the_label_maps_are_packed(found):
    found.scan = None
    images = unpack(pack_volumes(found, ["a"], max_bytes=10**6))
    assert not np.asarray(images["scan"].dataobj).any()
