import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from pipeline.data.errors import InputError
from pipeline.labelmaps.label_table import Label
from pipeline.labelmaps.nrrd import write_nrrd, write_nrrd_layers

SHAPE = (7, 9, 5)
TABLE = [Label(1, "left \\ lung", (255, 0, 51)), Label(2, "Ärm\nb", (0, 128, 255)), Label(9, "absent", (1, 2, 3))]
DIRECTIONS = "(0.30000000000000004, -0.0,1e-3) (0,1.10,0) (0, 0,2.5000000000000001)"


def affine(shear=0.0):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix() @ np.diag([0.8, -1.1, 2.3])
    matrix[0, 1] += shear
    matrix[:3, 3] = [12.5, -34.25, 99.1]
    return matrix


def labels(highest=2):
    return np.random.default_rng(1).integers(0, highest + 1, SHAPE)


def write(path, label_map=None, *, dtype=np.uint8, scan=None, matrix=None, table=TABLE):
    label_map = labels() if label_map is None else label_map
    matrix = affine() if matrix is None else matrix
    write_nrrd(label_map, path, dtype=np.dtype(dtype), scan=scan, affine=matrix, table=table)


def header(path):
    return path.read_bytes().partition(b"\n\n")[0].decode().split("\n")


def field(path, name):
    (line,) = [line for line in header(path) if line.startswith(f"{name}:")]
    return line


def vectors(line):
    return [[float(part) for part in word.strip("()").split(",")] for word in line.split(": ")[1].split(" ")]


@pytest.mark.parametrize(("dtype", "highest"), [(np.uint8, 2), (np.uint16, 700), (np.uint32, 70000)])
def test_simpleitk_finds_every_voxel_where_the_affine_says(tmp_path, dtype, highest):
    write(tmp_path / "a.nrrd", labels(highest), dtype=dtype)
    image = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    assert sitk.GetArrayFromImage(image).dtype == dtype
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, labels(highest))
    for index in [(0, 0, 0), (6, 8, 4), (1, 2, 3)]:
        x, y, z = affine()[:3] @ [*index, 1]
        assert image.TransformIndexToPhysicalPoint(index) == pytest.approx((-x, -y, z), abs=1e-9)


def test_a_sheared_affine_is_kept_to_the_last_bit(tmp_path):
    sheared = affine(shear=0.2)
    write(tmp_path / "a.nrrd", matrix=sheared)
    assert field(tmp_path / "a.nrrd", "space") == "space: left-posterior-superior"
    signs = np.array([-1, -1, 1])
    np.testing.assert_array_equal(vectors(field(tmp_path / "a.nrrd", "space directions")), sheared[:3, :3].T * signs)
    np.testing.assert_array_equal(vectors(field(tmp_path / "a.nrrd", "space origin"))[0], sheared[:3, 3] * signs)
    content = gzip.decompress((tmp_path / "a.nrrd").read_bytes().partition(b"\n\n")[2])
    assert content == labels().astype(np.uint8).tobytes(order="F")


def scan_header(*lines, sizes="7 9 5", dimension=3, end="\n"):
    start = [
        "NRRD0005",
        "# a: comment",
        "type: int16",
        f"dimension: {dimension}",
        "key:=space: no field",
        "endian: little",
    ]
    return end.join([*start, *lines, f"sizes: {sizes}", "encoding: raw"]) + end


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("space", ["space: right-anterior-superior", "space: LPS", "space dimension: 3"])
def test_the_lines_of_an_nrrd_scan_stand_as_they_are(tmp_path, space, end):
    lines = [space, f"space directions: {DIRECTIONS}", "space origin: (1,2.50,-3e2)", 'space units: "mm" "mm" "mm"']
    content = scan_header(*lines, end=end).encode() + end.encode() + bytes(2 * 7 * 9 * 5)
    (tmp_path / "scan.nrrd").write_bytes(content)
    write(tmp_path / "a.seg.nrrd", scan=tmp_path / "scan.nrrd")
    assert set(lines) < set(header(tmp_path / "a.seg.nrrd"))
    one, other = (sitk.ReadImage(str(tmp_path / name)) for name in ("scan.nrrd", "a.seg.nrrd"))
    assert other.GetDirection() == one.GetDirection()
    assert (other.GetOrigin(), other.GetSpacing()) == (one.GetOrigin(), one.GetSpacing())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(other).T, labels())


def test_a_detached_header_counts_as_well(tmp_path):
    lines = ["space: LPS", f"space directions: {DIRECTIONS}", "space origin: (1,2.50,-3e2)", "data file: scan.raw"]
    (tmp_path / "scan.nhdr").write_text(scan_header(*lines))
    (tmp_path / "scan.raw").write_bytes(bytes(2 * 7 * 9 * 5))
    write(tmp_path / "a.nrrd", scan=str(tmp_path / "scan.nhdr"))
    assert set(lines[:3]) < set(header(tmp_path / "a.nrrd"))
    assert not any("data file" in line for line in header(tmp_path / "a.nrrd"))


@pytest.mark.parametrize("first", [True, False])
def test_the_axis_of_channels_is_left_out(tmp_path, first):
    directions, sizes = (f"none {DIRECTIONS}", "2 7 9 5") if first else (f"{DIRECTIONS} none", "7 9 5 2")
    lines = ["space: LPS", f"space directions: {directions}", "space origin: (1,2.50,-3e2)"]
    (tmp_path / "scan.nrrd").write_text(scan_header(*lines, sizes=sizes, dimension=4) + "\n")
    write(tmp_path / "a.nrrd", scan=tmp_path / "scan.nrrd")
    words = ["(0.30000000000000004, -0.0,1e-3)", "(0,1.10,0)", "(0, 0,2.5000000000000001)"]
    assert field(tmp_path / "a.nrrd", "space directions") == "space directions: " + " ".join(words)
    assert field(tmp_path / "a.nrrd", "sizes") == "sizes: 7 9 5"
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))).T, labels())


@pytest.mark.parametrize(
    "content", [scan_header("spacings: 1 2 3"), "no NRRD\nspace: LPS\nspace directions: (1,0,0)\n\n"]
)
def test_a_scan_without_a_space_leaves_the_grid_to_the_affine(tmp_path, content):
    (tmp_path / "scan.nrrd").write_text(content)
    write(tmp_path / "a.nrrd", scan=tmp_path / "scan.nrrd")
    write(tmp_path / "b.nrrd", scan=tmp_path / "scan.nii.gz")
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()


def test_a_scan_of_another_size_is_refused(tmp_path):
    lines = ["space: LPS", f"space directions: {DIRECTIONS}", "space origin: (1,2,3)"]
    (tmp_path / "scan.nrrd").write_text(scan_header(*lines, sizes="9 7 5"))
    with pytest.raises(InputError, match=r"\(9, 7, 5\).*\(7, 9, 5\)"):
        write(tmp_path / "a.nrrd", scan=tmp_path / "scan.nrrd")
    assert not (tmp_path / "a.nrrd").exists()


def test_a_flat_label_map_is_one_slice(tmp_path):
    write(tmp_path / "a.nrrd", labels()[..., 0])
    image = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    assert image.GetSize() == (7, 9, 1)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0].T, labels()[..., 0])


def test_each_label_is_a_segment_of_3d_slicer(tmp_path):
    label_map = np.zeros(SHAPE, np.uint8)
    label_map[2:5, 1, 0:3] = 1
    label_map[6, 8, 4] = label_map[0, 3, 4] = 2
    write(tmp_path / "a.seg.nrrd", label_map)
    image = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    meta = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    for key, values in {
        "ID": ["Segment_1", "Segment_2", "Segment_9"],
        "Name": ["left \\ lung", "Ärm b", "absent"],
        "LabelValue": ["1", "2", "9"],
        "Layer": ["0", "0", "0"],
        "Extent": ["2 4 1 1 0 2", "0 6 3 8 4 4", "0 -1 0 -1 0 -1"],
    }.items():
        assert [meta[f"Segment{place}_{key}"] for place in range(3)] == values, key
    colours = [[float(part) * 255 for part in meta[f"Segment{place}_Color"].split()] for place in range(3)]
    np.testing.assert_allclose(colours, [label.colour for label in TABLE], atol=1e-3)
    assert "Segment3_ID" not in meta
    assert meta["Segmentation_MasterRepresentation"] == meta["Segmentation_SourceRepresentation"] == "Binary labelmap"
    assert meta["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert meta["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"


def test_without_a_table_it_is_a_plain_volume(tmp_path):
    write(tmp_path / "a.nrrd", table=[])
    assert not any(line.startswith("Segment") for line in header(tmp_path / "a.nrrd"))


def test_layers_overlap_and_simpleitk_reads_each_as_a_component(tmp_path):
    patterns = np.random.default_rng(2).integers(0, 4, SHAPE).astype(np.uint8)
    file = tmp_path / "a.seg.nrrd"
    write_nrrd_layers(patterns, file, scan=None, affine=affine(), table=TABLE)
    image = sitk.ReadImage(str(file))
    assert image.GetNumberOfComponentsPerPixel() == len(TABLE)
    found = sitk.GetArrayFromImage(image)
    for layer in range(len(TABLE)):
        np.testing.assert_array_equal(found[..., layer].T, patterns >> layer & 1)
    x, y, z = affine()[:3] @ [1, 2, 3, 1]
    assert image.TransformIndexToPhysicalPoint((1, 2, 3)) == pytest.approx((-x, -y, z), abs=1e-9)
    lines = header(file)
    assert "dimension: 4" in lines
    assert "sizes: 3 7 9 5" in lines
    assert "kinds: list domain domain domain" in lines
    assert field(file, "space directions").startswith("space directions: none (")
    keys = [line for line in lines if line.startswith("Segment") and ("Layer" in line or "LabelValue" in line)]
    assert keys == [f"Segment{n}_{key}" for n in range(3) for key in ("LabelValue:=1", f"Layer:={n}")]
    # The third region has no voxel.
    assert "Segment2_Extent:=0 -1 0 -1 0 -1" in lines


def test_layers_of_an_nrrd_scan_have_its_own_geometry(tmp_path):
    scan = tmp_path / "scan.nrrd"
    text = scan_header("space: right-anterior-superior", f"space directions: {DIRECTIONS}", "space origin: (1,2,3)")
    scan.write_bytes(text.encode() + b"\n" + bytes(2 * 7 * 9 * 5))
    patterns = np.zeros(SHAPE, np.uint8)
    patterns[1] = 3
    write_nrrd_layers(patterns, tmp_path / "a.seg.nrrd", scan=scan, affine=affine(), table=TABLE[:2])
    assert field(tmp_path / "a.seg.nrrd", "space") == "space: right-anterior-superior"
    assert field(tmp_path / "a.seg.nrrd", "space directions") == f"space directions: none {DIRECTIONS}"
    assert field(tmp_path / "a.seg.nrrd", "space origin") == "space origin: (1,2,3)"


def test_one_region_alone_has_no_layers(tmp_path):
    patterns = (labels() == 1).astype(np.uint8)
    write_nrrd_layers(patterns, tmp_path / "a.seg.nrrd", scan=None, affine=affine(), table=TABLE[1:2])
    image = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    assert image.GetNumberOfComponentsPerPixel() == 1
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, patterns)
    assert "Segment0_LabelValue:=1" in header(tmp_path / "a.seg.nrrd")
