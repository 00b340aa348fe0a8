import logging
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.inferers import SimpleInferer
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    Compose,
    CopyItemsd,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    Orientationd,
    Spacingd,
    SpatialPadd,
)
from scipy.spatial.transform import Rotation

import pipeline.inference
from pipeline.data.errors import InputError
from pipeline.labelmaps.label_table import make_label_table
from pipeline.labelmaps.save import SaveLabelMapd, SaveProbabilitiesd, save_label_map, save_volume

SHAPE = (7, 9, 5)
GEOMETRY = [
    "pixdim",
    "xyzt_units",
    "qform_code",
    "sform_code",
    *(f"quatern_{axis}" for axis in "bcd"),
    *(f"qoffset_{axis}" for axis in "xyz"),
    *(f"srow_{axis}" for axis in "xyz"),
]
LOAD = Compose([LoadImaged("image"), EnsureChannelFirstd("image")])


def affine(mirror=1.0, shear=0.0):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix()
    matrix[:3, :3] = matrix[:3, :3] @ np.diag([0.8 * mirror, 1.1, 2.3])
    matrix[0, 1] += shear
    matrix[:3, 3] = [12.5, -34.25, 99.1]
    return matrix


def scan(kind=nib.Nifti1Image, shape=SHAPE, q=None, s=None, **fields):
    """A float scan with scaling, display range, intent and an extension that a label map must not keep."""
    volume = np.random.default_rng(0).normal(100, 30, shape).astype(np.float32)
    image = kind(volume, None)
    header = image.header
    header.set_data_dtype(np.int16)
    header["pixdim"][1:4] = [0.8, 1.1, 2.3]
    header["cal_max"], header["cal_min"] = 400, -50
    header.set_intent("t test", (3,))
    header.set_xyzt_units("mm", "sec")
    header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"patient name"))
    if q is not None:
        image.set_qform(q[0], code=q[1])
    if s is not None:
        image.set_sform(s[0], code=s[1])
    for name, value in fields.items():
        header[name] = value
    return image


def raw_header(path, kind=nib.Nifti1Header):
    with nib.openers.ImageOpener(str(path)) as stream:
        return kind.from_fileobj(stream, check=False)


def labels(shape=SHAPE, highest=2):
    return np.random.default_rng(1).integers(0, highest + 1, shape)


def predict(path, label_map):
    """The case as a pipeline has it after the inverse: the label map with the meta data of its scan."""
    case = LOAD({"image": str(path)})
    case["pred"] = MetaTensor(torch.from_numpy(label_map)[None].float(), meta=case["image"].meta)
    return case


VOXEL_OF_SHEARED = np.linalg.norm(affine(shear=0.2)[:3, :3], axis=0)
HEADERS = {
    "sform only": {"s": (affine(), 1)},
    "qform only": {"q": (affine(), 1)},
    "both, with different codes": {"q": (affine(), 1), "s": (affine(), 4)},
    "both, in disagreement": {"q": (np.diag([0.8, 1.1, 2.3, 1.0]), 1), "s": (affine(), 2)},
    "neither": {},
    "qfac of -1": {"q": (affine(mirror=-1), 2), "s": (affine(mirror=-1), 2)},
    "sheared sform": {"s": (affine(shear=0.2), 2), "pixdim": [1, *VOXEL_OF_SHEARED, 1, 1, 1, 1]},
    "sheared sform that disagrees with the voxel sizes": {"s": (affine(shear=0.2), 2)},
    "NIfTI-2": {"kind": nib.Nifti2Image, "q": (affine(mirror=-1), 1), "s": (affine(mirror=-1), 3)},
    "units of micrometres and milliseconds": {"s": (affine(), 1), "xyzt_units": 3 + 16},
    "unknown units": {"s": (affine(), 1), "xyzt_units": 0},
    "trailing axis of 1": {"shape": (*SHAPE, 1), "q": (affine(), 1)},
    "several channels": {"shape": (*SHAPE, 3), "q": (affine(), 1)},
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_the_geometry_of_the_header_is_kept_bit_by_bit(tmp_path, name, extension):
    image = scan(**HEADERS[name])
    nib.save(image, tmp_path / f"scan.v2{extension}")
    label_map = labels()
    case = predict(tmp_path / f"scan.v2{extension}", label_map)
    result = SaveLabelMapd("pred", output_dir=tmp_path / "out" / "deep")(case)

    written = tmp_path / "out" / "deep" / "scan.v2_seg.nii.gz"
    assert [path.name for path in written.parent.iterdir()] == [written.name]
    assert result.keys() == case.keys()
    assert all(result[key] is case[key] for key in case)
    saved = nib.load(written)
    assert type(saved) is type(image)
    before = raw_header(tmp_path / f"scan.v2{extension}", type(image.header))
    after = raw_header(written, type(image.header))
    for field in GEOMETRY:
        assert after[field].tobytes() == before[field].tobytes(), field
    np.testing.assert_array_equal(saved.affine, nib.load(tmp_path / f"scan.v2{extension}").affine)
    assert saved.shape == SHAPE
    assert saved.get_data_dtype() == np.uint8
    assert (saved.dataobj.slope, saved.dataobj.inter) == (1.0, 0.0)
    assert (float(after["cal_min"]), float(after["cal_max"])) == (0, 0)
    assert saved.header.get_intent() == ("none", (), "")
    assert not saved.header.extensions
    np.testing.assert_array_equal(np.asarray(saved.dataobj), label_map)


def patch(path, field, value):
    """Put into a file's header what nibabel would not write."""
    header = raw_header(path)
    header[field] = value
    content = path.read_bytes()
    path.write_bytes(header.binaryblock + content[len(header.binaryblock) :])


@pytest.mark.parametrize(
    ("field", "value"),
    [("pixdim", [0, 0.8, 1.1, 2.3, 0, 0, 0, 0]), ("pixdim", [1, -0.8, 1.1, 2.3, 1, 0, 0, 0]), ("sform_code", 9)],
)
def test_what_nibabel_would_repair_stays_as_it_is(tmp_path, field, value):
    nib.save(scan(s=(affine(), 1), q=(affine(), 1)), tmp_path / "scan.nii")
    patch(tmp_path / "scan.nii", field, value)
    before = raw_header(tmp_path / "scan.nii")
    assert nib.load(tmp_path / "scan.nii").header[field].tobytes() != before[field].tobytes()
    SaveLabelMapd("pred", output_dir=tmp_path)(predict(tmp_path / "scan.nii", labels()))
    after = raw_header(tmp_path / "scan_seg.nii.gz")
    assert [after[name].tobytes() for name in GEOMETRY] == [before[name].tobytes() for name in GEOMETRY]


def test_a_big_endian_scan_gives_right_values(tmp_path):
    image = scan(s=(affine(), 1))
    swapped = nib.Nifti1Image(image.dataobj, None, header=image.header.as_byteswapped(">"))
    nib.save(swapped, tmp_path / "scan.nii")
    assert nib.load(tmp_path / "scan.nii").header.endianness == ">"
    label_map = labels(highest=700)
    SaveLabelMapd("pred", output_dir=tmp_path)(predict(tmp_path / "scan.nii", label_map))
    saved = nib.load(tmp_path / "scan_seg.nii.gz")
    np.testing.assert_array_equal(np.asarray(saved.dataobj), label_map)
    np.testing.assert_array_equal(saved.affine, nib.load(tmp_path / "scan.nii").affine)


@pytest.mark.parametrize(("highest", "dtype"), [(0, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4")])
def test_the_data_type_is_the_smallest_that_holds_the_labels(tmp_path, highest, dtype):
    nib.save(scan(q=(affine(), 1)), tmp_path / "scan.nii")
    label_map = np.zeros(SHAPE, dtype=np.int64)
    label_map[1, 2, 3] = highest
    SaveLabelMapd("pred", output_dir=tmp_path)(predict(tmp_path / "scan.nii", label_map))
    saved = nib.load(tmp_path / "scan_seg.nii.gz")
    assert saved.get_data_dtype() == np.dtype(dtype)
    np.testing.assert_array_equal(np.asarray(saved.dataobj), label_map)


@pytest.mark.parametrize("extension", [".nrrd", ".mha"])
def test_other_formats_give_nifti_with_the_same_physical_points(tmp_path, extension):
    source = sitk.GetImageFromArray(np.zeros(SHAPE[::-1], dtype=np.int16))
    source.SetSpacing([0.8, 1.1, 2.3])
    source.SetOrigin([12.5, -34.25, 99.0])
    source.SetDirection(Rotation.from_euler("z", 30, degrees=True).as_matrix().ravel().tolist())
    path = tmp_path / f"scan{extension}"
    sitk.WriteImage(source, str(path))
    case = LOAD({"image": str(path)})
    # After re-orientation only the meta data still know the file's own affine.
    case["image"] = Orientationd("image", "PIR", labels=None)(case)["image"]
    case["pred"] = torch.from_numpy(labels())[None]
    SaveLabelMapd("pred", output_dir=tmp_path)(case)
    saved = sitk.ReadImage(str(tmp_path / "scan_seg.nii.gz"))
    for index in [(0, 0, 0), (6, 8, 4), (1, 2, 3)]:
        expected = source.TransformIndexToPhysicalPoint(index)
        assert saved.TransformIndexToPhysicalPoint(index) == pytest.approx(expected, abs=1e-4)
        assert saved[index] == labels()[index]
    header = nib.load(tmp_path / "scan_seg.nii.gz").header
    assert header.get_xyzt_units()[0] == "mm"
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)


@pytest.mark.parametrize("source", ["1.2.840.113", "visit.1", "CT.5.dcm", "a.NII.GZ"])
def test_the_name_loses_a_known_extension_only(tmp_path, source):
    expected = {"1.2.840.113": "1.2.840.113", "visit.1": "visit.1", "CT.5.dcm": "CT.5", "a.NII.GZ": "a"}[source]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / source
    if source.endswith("GZ"):
        nib.save(scan(q=(affine(), 1)), tmp_path / "in" / "a.nii.gz")
        (tmp_path / "in" / "a.nii.gz").rename(path)
    pred = MetaTensor(torch.zeros(1, *SHAPE))
    image = MetaTensor(torch.zeros(1, *SHAPE), meta={"filename_or_obj": str(path)})
    SaveLabelMapd("pred", output_dir=tmp_path, postfix="mask")({"image": image, "pred": pred})
    assert (tmp_path / f"{expected}_mask.nii.gz").is_file()


def test_a_flat_picture_gives_a_flat_label_map(tmp_path):
    picture = MetaTensor(torch.zeros(1, 6, 4), affine=np.diag([0.5, 2.0, 1.0]), meta={"filename_or_obj": "cell.png"})
    pred = torch.from_numpy(labels((6, 4)))[None]
    SaveLabelMapd("pred", output_dir=tmp_path)({"image": picture, "pred": pred})
    SaveProbabilitiesd("pred", output_dir=tmp_path, enabled=True)({"image": picture, "pred": pred.repeat(3, 1, 1)})
    saved = nib.load(tmp_path / "cell_seg.nii.gz")
    np.testing.assert_array_equal(np.asarray(saved.dataobj), labels((6, 4)))
    np.testing.assert_allclose(saved.affine, np.diag([0.5, 2.0, 1.0, 1.0]))
    assert nib.load(tmp_path / "cell_prob.nii.gz").shape == (6, 4, 1, 3)


def test_probabilities_are_channel_last_floats_in_the_same_grid(tmp_path):
    nib.save(scan(q=(affine(mirror=-1), 1), s=(affine(mirror=-1), 4)), tmp_path / "scan.nii.gz")
    case = LOAD({"image": str(tmp_path / "scan.nii.gz")})
    probabilities = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    case["prob"] = MetaTensor(probabilities.to(torch.bfloat16), meta=case["image"].meta)
    saver = SaveProbabilitiesd("prob", output_dir=tmp_path / "out", enabled=True)
    result = saver(case)
    assert all(result[key] is case[key] for key in case)
    saved = nib.load(tmp_path / "out" / "scan_prob.nii.gz")
    assert saved.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(saved.dataobj), probabilities.bfloat16().float().permute(1, 2, 3, 0))
    before, after = raw_header(tmp_path / "scan.nii.gz"), raw_header(tmp_path / "out" / "scan_prob.nii.gz")
    assert [after[name].tobytes() for name in GEOMETRY] == [before[name].tobytes() for name in GEOMETRY]
    assert sitk.ReadImage(str(tmp_path / "out" / "scan_prob.nii.gz")).GetSize() == (*SHAPE, 3)


def test_disabled_probabilities_are_not_written(tmp_path):
    case = {"prob": torch.rand(3, *SHAPE)}
    assert SaveProbabilitiesd("prob", output_dir=tmp_path / "out", enabled=False)(case) == case
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda pred: pred[:, :, :-1], ["(7, 8, 5)", "(7, 9, 5)", "scan.nii"]),
        (lambda pred: pred[..., 0], ["(7, 9)", "(7, 9, 5)"]),
        (lambda pred: torch.cat([pred, pred]), ["(2, 7, 9, 5)", "one channel"]),
        (lambda pred: pred + 0.5, ["0.5", "integers"]),
        (lambda pred: pred - 1, ["-1", "integers"]),
        (lambda pred: pred * float("nan"), ["nan", "integers"]),
        (lambda pred: pred * float("inf"), ["integers"]),
    ],
)
def test_a_wrong_prediction_is_refused_and_nothing_is_written(tmp_path, damage, words):
    nib.save(scan(q=(affine(), 1)), tmp_path / "scan.nii")
    case = predict(tmp_path / "scan.nii", labels())
    case["pred"] = damage(case["pred"])
    with pytest.raises(ValueError, match=r".") as caught:
        SaveLabelMapd("pred", output_dir=tmp_path / "out")(case)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_prediction_with_other_axes_is_refused_even_where_the_shape_fits(tmp_path):
    nib.save(scan(q=(affine(), 1)), tmp_path / "scan.nii")
    case = predict(tmp_path / "scan.nii", labels())
    case["pred"] = Orientationd("pred", "LPS", labels=None)(case)["pred"]
    assert tuple(case["pred"].shape) == (1, *SHAPE)
    with pytest.raises(ValueError, match=r"affine.*inverse"):
        SaveLabelMapd("pred", output_dir=tmp_path)(case)


def test_a_prediction_on_a_scan_loaded_with_other_axes_is_refused(tmp_path):
    nib.save(scan(q=(affine(mirror=-1), 1)), tmp_path / "scan.nii")
    load = LoadImaged("image", reader="NibabelReader", as_closest_canonical=True, ensure_channel_first=True)
    case = load({"image": str(tmp_path / "scan.nii")})
    case["pred"] = case["image"] * 0
    with pytest.raises(ValueError, match=r"affine.*inverse"):
        SaveLabelMapd("pred", output_dir=tmp_path)(case)


def test_two_scans_of_one_name_do_not_replace_each_other(tmp_path):
    saver = SaveLabelMapd("pred", output_dir=tmp_path / "out")
    for folder in ("p1", "p2"):
        (tmp_path / folder).mkdir()
        nib.save(scan(q=(affine(), 1)), tmp_path / folder / "ct.nii")
    saver(predict(tmp_path / "p1" / "ct.nii", labels()))
    saver(predict(tmp_path / "p1" / "ct.nii", labels()))
    with pytest.raises(ValueError, match=r"ct_seg.nii.gz.*p1.*p2"):
        saver(predict(tmp_path / "p2" / "ct.nii", labels()))


def test_a_prediction_of_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="filename_or_obj"):
        SaveLabelMapd("pred", output_dir=tmp_path)({"pred": torch.zeros(1, *SHAPE)})


def test_a_missing_key_is_allowed_on_request_only(tmp_path):
    case = {"image": torch.zeros(1, *SHAPE)}
    assert SaveLabelMapd("pred", output_dir=tmp_path, allow_missing_keys=True)(case) == case
    with pytest.raises(KeyError):
        SaveLabelMapd("pred", output_dir=tmp_path)(case)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    nib.save(scan(q=(affine(), 1)), tmp_path / "scan.nii")
    saver = SaveLabelMapd("pred", output_dir=tmp_path / "out")
    saver(predict(tmp_path / "scan.nii", labels()))
    before = (tmp_path / "out" / "scan_seg.nii.gz").read_bytes()

    def half(header, stream):
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(nib.Nifti1Header, "write_to", half)
    with pytest.raises(OSError, match="disk full"):
        saver(predict(tmp_path / "scan.nii", 2 - labels()))
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {"scan_seg.nii.gz": before}


class Brightness(torch.nn.Module):
    def forward(self, x):
        return torch.cat([1 - x, x], dim=1) * 20


def test_an_evaluator_saves_both_in_the_grid_of_the_scan(tmp_path, caplog):
    # A bright box, seen through re-orientation, resampling and padding, must come back where it was.
    volume = np.zeros((20, 24, 16), dtype=np.float32)
    volume[3:12, 6:20, 4:9] = 1
    image = nib.Nifti1Image(volume, affine(mirror=-1))
    nib.save(image, tmp_path / "scan.nii.gz")
    pre = Compose(
        [
            LoadImaged("image"),
            EnsureChannelFirstd("image"),
            Orientationd("image", "RAS", labels=None),
            Spacingd("image", (0.8, 0.8, 0.8)),
            SpatialPadd("image", (64, 64, 64)),
        ]
    )
    post = Compose(
        [
            Activationsd("pred", softmax=True),
            Invertd("pred", pre, orig_keys="image", nearest_interp=False),
            CopyItemsd("pred", names="prob"),
            AsDiscreted("pred", argmax=True),
            SaveLabelMapd("pred", output_dir=tmp_path / "out"),
            SaveProbabilitiesd("prob", output_dir=tmp_path / "out", enabled=True),
        ]
    )
    engine = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset([{"image": str(tmp_path / "scan.nii.gz")}], pre), batch_size=1),
        network=Brightness(),
        inferer=SimpleInferer(),
        postprocessing=post,
    )
    with caplog.at_level(logging.INFO, logger="pipeline.labelmaps.save"):
        engine.run()
    saved = nib.load(tmp_path / "out" / "scan_seg.nii.gz")
    np.testing.assert_array_equal(saved.affine, nib.load(tmp_path / "scan.nii.gz").affine)
    found = np.asarray(saved.dataobj) == 1
    assert 2 * (found & (volume == 1)).sum() / (found.sum() + volume.sum()) > 0.93
    probabilities = np.asarray(nib.load(tmp_path / "out" / "scan_prob.nii.gz").dataobj)
    np.testing.assert_array_equal(probabilities.argmax(-1), found)
    lines = [record.getMessage() for record in caplog.records if record.name == "pipeline.labelmaps.save"]
    assert len(lines) == 2
    assert "scan_seg.nii.gz, 20x24x16 uint8" in lines[0]


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("named", ["scan.hdr", "scan.img"])
def test_a_pair_gives_one_file_with_the_geometry_of_the_pair(tmp_path, kind, byte_order, named):
    image = scan(kind, q=(affine(mirror=-1), 1), s=(affine(mirror=-1), 2))
    nib.save(kind(image.dataobj, None, header=image.header.as_byteswapped(byte_order)), tmp_path / "scan.img")
    label_map = labels(highest=300)
    save_label_map(label_map, tmp_path / "out.nii.gz", scan=tmp_path / named, affine=affine(mirror=-1))
    single = nib.Nifti2Image if kind is nib.Nifti2Pair else nib.Nifti1Image
    saved = nib.load(tmp_path / "out.nii.gz")
    assert type(saved) is single
    before = raw_header(tmp_path / "scan.hdr", kind.header_class)
    after = raw_header(tmp_path / "out.nii.gz", single.header_class)
    assert before.endianness == after.endianness == byte_order
    assert [after[name].tobytes() for name in GEOMETRY] == [before[name].tobytes() for name in GEOMETRY]
    np.testing.assert_array_equal(np.asarray(saved.dataobj), label_map)
    if kind is nib.Nifti1Pair:
        assert after["magic"].tobytes() == b"n+1\0"
        assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.nii.gz"))).tolist() == label_map.T.tolist()


def test_a_pair_passes_from_monai_to_its_label_map(tmp_path):
    # ITK, which MONAI reads pairs with, has an affine of its own precision.
    nib.save(scan(nib.Nifti1Pair, q=(affine(), 1), s=(affine(), 1)), tmp_path / "scan.img")
    label_map = labels()
    SaveLabelMapd("pred", output_dir=tmp_path)(predict(tmp_path / "scan.hdr", label_map))
    saved = nib.load(tmp_path / "scan_seg.nii.gz")
    np.testing.assert_array_equal(np.asarray(saved.dataobj), label_map)
    np.testing.assert_array_equal(saved.affine, nib.load(tmp_path / "scan.img").affine)


def test_an_analyze_pair_gives_nifti_with_the_affine(tmp_path):
    nib.save(nib.AnalyzeImage(np.zeros(SHAPE, np.int16), None), tmp_path / "scan.img")
    save_label_map(labels(), tmp_path / "out.nii", scan=tmp_path / "scan.hdr", affine=affine())
    np.testing.assert_allclose(nib.load(tmp_path / "out.nii").affine, affine(), atol=1e-5)


@pytest.mark.parametrize(("channels", "expected"), [(1, "scan_0000_seg.nii.gz"), (2, "scan_seg.nii.gz")])
def test_a_bundle_rendered_before_there_were_names_gives_the_channels(tmp_path, channels, expected):
    nib.save(scan(q=(affine(), 1)), tmp_path / "scan_0000.nii")
    saver = pipeline.inference.SaveLabelMapd("pred", output_dir=tmp_path / "out", channels=channels)
    saver(predict(tmp_path / "scan_0000.nii", labels()))
    SaveProbabilitiesd("pred", output_dir=tmp_path, enabled=False, channels=channels)
    assert [file.name for file in (tmp_path / "out").iterdir()] == [expected]


def test_the_transform_tells_names_where_it_knows_them(tmp_path):
    nib.save(scan(q=(affine(), 1)), tmp_path / "scan.nii")
    saver = SaveLabelMapd("pred", output_dir=tmp_path, labels={"background": 0, "anterior": 1, "posterior": 2})
    saver(predict(tmp_path / "scan.nii", labels()))
    saved = nib.load(tmp_path / "scan_seg.nii.gz")
    assert saved.header.get_intent()[0] == "label"
    assert b">anterior<" in saved.header.extensions[0].content
    before, after = raw_header(tmp_path / "scan.nii"), raw_header(tmp_path / "scan_seg.nii.gz")
    assert [after[name].tobytes() for name in GEOMETRY] == [before[name].tobytes() for name in GEOMETRY]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII.GZ", ".nrrd", ".seg.nrrd"])
def test_the_ending_decides_on_the_format(tmp_path, ending):
    label_map = labels(highest=400).astype(np.float32)
    path = tmp_path / f"out{ending}"
    save_label_map(label_map, path, scan=None, affine=np.diag([2.0, 3, 4, 1]), table=make_label_table({"a": 1}))
    saved = sitk.ReadImage(str(path))
    assert saved.GetPixelID() == sitk.sitkUInt16
    assert saved.GetSpacing() == (2, 3, 4)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(saved).T, label_map)


@pytest.mark.parametrize("name", ["out.mha", "out.gz", "out"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"another ending.*\.nii\.gz"):
        save_label_map(labels(), tmp_path / name, scan=None, affine=np.eye(4))
    with pytest.raises(InputError, match=r"another ending.*\.nii\.gz"):
        save_volume(labels(), tmp_path / name, scan=None, affine=np.eye(4))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("label_map", "words"),
    [
        (np.zeros((*SHAPE, 1)), "2 to 3 axes"),
        (np.zeros(4), "2 to 3 axes"),
        (np.zeros((0, 3, 4)), "none of them empty"),
        (np.full(SHAPE, 0.5), "integers"),
        (np.full(SHAPE, -1), "from -1 to -1"),
        (np.full(SHAPE, np.nan), "nan"),
        (labels((9, 7, 5)), r"\(9, 7, 5\).*\(7, 9, 5\)"),
    ],
)
def test_no_label_map_of_the_scan_is_refused(tmp_path, label_map, words):
    nib.save(scan(q=(affine(), 1)), tmp_path / "scan.nii")
    for name in ("out.nii", "out.nrrd"):
        with pytest.raises(InputError, match=words):
            save_label_map(label_map, tmp_path / "out" / name, scan=str(tmp_path / "scan.nii"), affine=affine())
    assert not (tmp_path / "out").exists()


def test_another_affine_than_the_scan_s_is_refused(tmp_path):
    nib.save(scan(q=(affine(), 1)), tmp_path / "scan.nii")
    for save in (save_label_map, save_volume):
        with pytest.raises(InputError, match="affine"):
            save(labels(), tmp_path / "out.nii", scan=tmp_path / "scan.nii", affine=affine(mirror=-1))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_volume_is_float32_in_the_grid_of_its_scan(tmp_path, ending):
    nib.save(scan(s=(affine(shear=0.2), 2)), tmp_path / f"scan{ending}")
    read = LOAD({"image": str(tmp_path / f"scan{ending}")})["image"].affine
    entropy = np.random.default_rng(2).random(SHAPE)
    save_volume(entropy, tmp_path / "out.nii.gz", scan=tmp_path / f"scan{ending}", affine=read)
    saved = nib.load(tmp_path / "out.nii.gz")
    assert saved.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(saved.dataobj), entropy.astype(np.float32))
    before, after = raw_header(tmp_path / f"scan{ending}"), raw_header(tmp_path / "out.nii.gz")
    assert [after[name].tobytes() for name in GEOMETRY] == [before[name].tobytes() for name in GEOMETRY]


def test_a_volume_in_a_file_needs_little_memory(tmp_path):
    shape = (512, 256, 48, 4)
    volume = np.memmap(tmp_path / "volume", np.float32, "w+", shape=shape, order="F")
    places = [(0, 0, 0, 0), (511, 255, 47, 3), (17, 200, 31, 1), (300, 3, 32, 2)]
    for value, place in enumerate(places, start=1):
        volume[place] = value
    label_map = volume[..., 1]
    tracemalloc.start()
    try:
        save_volume(volume, tmp_path / "volume.nii.gz", scan=None, affine=np.eye(4))
        _, of_volume = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        save_label_map(label_map, tmp_path / "labels.nii.gz", scan=None, affine=np.eye(4))
        _, of_labels = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert volume.nbytes == 96 << 20
    # The volume is in the file's order and type, so it is not copied. A block of labels is at least 3 MB: with less,
    # nothing was measured.
    assert of_volume < 16 << 20
    assert 3 << 20 < of_labels < 64 << 20
    saved = np.asarray(nib.load(tmp_path / "volume.nii.gz").dataobj)
    assert saved.shape == shape
    assert [saved[place] for place in places] == [1, 2, 3, 4]
    assert saved.sum() == 10
    saved = np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj)
    assert saved[places[2][:3]] == 3
    assert np.count_nonzero(saved) == 1


@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_come_in_the_order_of_the_file(tmp_path, monkeypatch, order):
    monkeypatch.setattr("pipeline.labelmaps.voxels._BLOCK", 50)
    volume = np.asarray(np.random.default_rng(3).random((7, 9, 5, 2)), order=order)
    save_volume(volume, tmp_path / "out.nii", scan=None, affine=np.eye(4))
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out.nii").dataobj), volume.astype(np.float32))


def test_the_same_label_map_gives_the_same_file(tmp_path):
    table = make_label_table({"a": 1, "b": 2})
    for name in ("out.nii.gz", "out.seg.nrrd"):
        save_label_map(labels(), tmp_path / "1" / name, scan=None, affine=affine(), table=table)
        save_label_map(np.asfortranarray(labels()), tmp_path / "2" / name, scan=None, affine=affine(), table=table)
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
