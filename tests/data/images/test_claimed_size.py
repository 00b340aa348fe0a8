"""Headers that promise more voxels than their file can hold are refused before memory is asked for."""

import bz2
import gzip
import io
import struct
import zlib

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from pipeline.data.errors import InputError
from pipeline.data.images.claimed_size import human_bytes
from pipeline.data.images.door import read_header, read_volume

SHAPE = (30000, 30000, 11000)  # of int16: 19.8 TB


def nifti(kind, *, shape=SHAPE, pair=False):
    header = kind()
    header.set_data_shape(shape)
    header.set_data_dtype("i2")
    header.set_sform(np.eye(4), 1)
    header["magic"] = header.pair_magic if pair else header.single_magic
    header["vox_offset"] = 0 if pair else header.single_vox_offset
    return header.binaryblock


def nrrd(encoding, sizes=SHAPE):
    return (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {' '.join(map(str, sizes))}\n"
        f"space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: {encoding}\nspace origin: (0,0,0)\n\n"
    ).encode()


def meta(more="", sizes=SHAPE):
    return (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\n{more}ElementSpacing = 1 1 1\n"
        f"DimSize = {' '.join(map(str, sizes))}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    ).encode()


def tiff(size, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((16, 16), np.uint16), **options)
    content = bytearray(stream.getvalue())
    start = struct.unpack_from("<I", content, 4)[0]
    for place in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        if struct.unpack_from("<H", content, place)[0] in (256, 257):  # width and height
            struct.pack_into("<HII", content, place + 2, 4, 1, size)
    return bytes(content)


def png(size):
    stream = io.BytesIO()
    Image.new("L", (16, 16)).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    struct.pack_into(">II", content, 16, size, size)
    struct.pack_into(">I", content, 29, zlib.crc32(bytes(content[12:29])))
    return bytes(content)


ZEROS = bytes(100)
PACKED = zlib.compress(ZEROS)
PROMISES = {
    "a.nii": (nifti(nib.Nifti1Header) + ZEROS, "19.8 TB", "448 bytes"),
    "two.nii": (nifti(nib.Nifti2Header, shape=(10**6, 10**6, 10)) + ZEROS, "20 TB", "640 bytes"),
    "a.nii.gz": (gzip.compress(nifti(nib.Nifti1Header) + ZEROS), "19.8 TB", "KB at most"),
    "raw.nrrd": (nrrd("raw") + ZEROS, "19.8 TB", "bytes"),
    "gzip.nrrd": (nrrd("gzip") + gzip.compress(ZEROS), "19.8 TB", "KB at most"),
    "text.nrrd": (nrrd("ascii") + b"1 2 3", "19.8 TB", "bytes"),
    "raw.mha": (meta() + ZEROS, "19.8 TB", "bytes"),
    "zlib.mha": (
        meta(f"CompressedData = True\nCompressedDataSize = {len(PACKED)}\n") + PACKED,
        "19.8 TB",
        "KB at most",
    ),
    "raw.tif": (tiff(3000000), "18 TB", "bytes"),
    "deflate.tif": (tiff(3000000, compression="zlib"), "18 TB", "KB at most"),
    "a.png": (png(10000), "100 MB", "KB at most"),
}


@pytest.mark.parametrize("name", PROMISES)
def test_a_promise_that_no_file_of_this_size_can_keep_is_refused_in_human_units(tmp_path, name):
    content, claimed, held = PROMISES[name]
    path = tmp_path / name
    path.write_bytes(content)
    for read in (lambda: read_volume(str(path)), lambda: read_header(path, sized=True)):
        with pytest.raises(InputError, match="a truncated or corrupt file: its header promises") as caught:
            read()
        assert claimed in str(caught.value)
        assert held in str(caught.value)
        assert caught.value.kind == "truncated"


def test_a_pair_is_measured_by_the_file_with_the_voxels(tmp_path):
    (tmp_path / "a.hdr").write_bytes(nifti(nib.Nifti1Header, pair=True))
    (tmp_path / "a.img").write_bytes(ZEROS)
    with pytest.raises(InputError, match="and it has 100 bytes"):
        read_volume(str(tmp_path / "a.hdr"))


def picture(form, **options):
    stream = io.BytesIO()
    Image.new("L", (3000, 2000)).save(stream, form, **options)
    return stream.getvalue()


def bit_picture():
    stream = io.BytesIO()
    Image.new("1", (3000, 2000)).save(stream, "PNG")
    return stream.getvalue()


SIZES = (200, 200, 50)
BODY = bytes(2 * 200 * 200 * 50)
WHOLE = {
    "a.nii.gz": gzip.compress(nifti(nib.Nifti1Header, shape=SIZES) + bytes(4) + BODY, 9),
    "gzip.nrrd": nrrd("gzip", SIZES) + gzip.compress(BODY, 9),
    "bzip2.nrrd": nrrd("bzip2", SIZES) + bz2.compress(BODY),
    "zlib.mha": meta(f"CompressedData = True\nCompressedDataSize = {len(zlib.compress(BODY, 9))}\n", SIZES)
    + zlib.compress(BODY, 9),
    "a.png": picture("PNG", compress_level=9),
    "bits.png": bit_picture(),
    "lzw.tif": picture("TIFF", compression="tiff_lzw"),
    "packbits.tif": picture("TIFF", compression="packbits"),
    "deflate.tif": picture("TIFF", compression="tiff_adobe_deflate"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_zeros_packed_as_small_as_can_be_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(WHOLE[name])
    assert not read_volume(str(tmp_path / name)).voxels.any()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (999.6, "1 KB"), (1500, "1.5 KB"), (19.8e12, "19.8 TB"), (1e30, "1e+06 YB")],
)
def test_bytes_are_in_units_of_three_digits(count, text):
    assert human_bytes(count) == text
