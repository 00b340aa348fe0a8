import gzip
import hashlib
import io
import json
import re
import sys
import tracemalloc

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import Orientationd, Spacingd

from pipeline.data.cases import read_cases
from pipeline.data.check import check_cases, check_scans
from pipeline.data.errors import InputError
from pipeline.data.intensities import add_sample
from pipeline.data.reader import LoadScand
from pipeline.data.scans import find_scans

SHAPE = (9, 8, 7)
LABELS = {"background": 0, "front": 1, "back": 2}


def save(path, voxels, affine=None):
    nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine).to_filename(path)
    return str(path)


def an_image(shape=SHAPE):
    return np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)


def a_label(shape=SHAPE):
    label = np.zeros(shape, np.uint8)
    label[2:4, 3:5, 2:5] = 1
    label[4:6, 3:5, 2:5] = 2
    return label


def make_case(folder, name="case", *, image=None, label=None, image_affine=None, label_affine=None, suffix=".nii.gz"):
    return {
        "image": save(folder / f"{name}_image{suffix}", an_image() if image is None else image, image_affine),
        "label": save(folder / f"{name}_label{suffix}", a_label() if label is None else label, label_affine),
    }


def check(cases, labels=LABELS, **options):
    check_cases(cases, labels=labels, **options)


def with_voxels(volume, index, value):
    volume = volume.astype(np.float32)
    volume[index] = value
    return volume


CLEAN = {
    "plain": {},
    "label stored as float": {"label": a_label().astype(np.float32)},
    "label almost whole": {"label": (a_label() * 0.9999).astype(np.float32)},
    "label stored as int64": {"label": a_label().astype(np.int32)},
    "label without structures": {"label": np.zeros(SHAPE, np.uint8)},
    "trailing axis of the image": {"image": an_image((*SHAPE, 1))},
    "trailing axis of the label": {"label": a_label()[..., None]},
    "uncompressed": {"suffix": ".nii"},
    "rounded affine": {"label_affine": np.diag([1, 1, 1 + 1e-5, 1])},
    "one slice": {"image": an_image((9, 8, 1)), "label": a_label()[:, :, 3:4]},
    "large numbers": {"image": an_image() * 1e15},
    "small numbers": {"image": an_image() * 1e-15},
    "integers": {"image": an_image().astype(np.int16)},
}


@pytest.mark.parametrize("options", CLEAN.values(), ids=CLEAN)
def test_nothing_is_raised_where_nothing_is_wrong(tmp_path, options):
    assert check([make_case(tmp_path, **options)]) is None


# What is done to the case, the file at fault, what the message says.
DEFECTS = {
    "NaN in the image": ({"image": with_voxels(an_image(), (1, 1, slice(3)), np.nan)}, "image", "3 of 504 voxels NaN"),
    "NaN in the label": ({"label": with_voxels(a_label(), (0, 0, 0), np.nan)}, "label", "1 of 504 voxels NaN"),
    "Inf in the image": ({"image": with_voxels(an_image(), 0, np.inf)}, "image", "56 of 504 voxels infinite"),
    "both Inf in the label": (
        {"label": with_voxels(with_voxels(a_label(), (0, 0, 0), np.inf), (1, 0, 0), -np.inf)},
        "label",
        "2 of 504 voxels infinite",
    ),
    "4D image": ({"image": an_image((*SHAPE, 2))}, "image", "4 axes, shape (9, 8, 7, 2); expected one volume"),
    "4D label": ({"label": np.stack([a_label()] * 3, -1)}, "label", "4 axes, shape (9, 8, 7, 3); expected one volume"),
    "1D image": ({"image": an_image((9,))}, "image", "shape (9,)"),
    "2D image": ({"image": an_image((9, 8))}, "image", "2 axes, shape (9, 8); expected one volume (x, y, z)"),
    "2D label": ({"label": a_label()[:, :, 3]}, "label", "2 axes, shape (9, 8); expected one volume (x, y, z)"),
    "two trailing axes of the image": ({"image": an_image((*SHAPE, 1, 1))}, "image", "5 axes, shape (9, 8, 7, 1, 1)"),
    "two trailing axes of the label": ({"label": a_label()[..., None, None]}, "label", "5 axes"),
    "constant image": ({"image": np.full(SHAPE, -7, np.int16)}, "image", "the same value, -7, in every voxel"),
    "huge numbers": ({"image": an_image() * 1e17}, "image", "expected values between -1e+18 and 1e+18"),
    "another shape": ({"label": a_label()[:, :, 1:]}, "label", "shape (9, 8, 6); expected shape (9, 8, 7)"),
    "turned label": ({"label": a_label().transpose(1, 0, 2)}, "label", "shape (8, 9, 7)"),
    # The far corner (x, y, z) = (8, 7, 6) moves by 6 mm along z, the near one stays.
    "another spacing": ({"label_affine": np.diag([1, 1, 2, 1])}, "label", "moves the volume by up to 6 mm"),
    "shifted label": (
        {"label_affine": np.array([[1, 0, 0, 3], [0, 1, 0, -4], [0, 0, 1, 0], [0, 0, 0, 1]])},
        "label",
        "up to 5 mm",
    ),
    "flipped image": ({"image_affine": np.diag([-1, 1, 1, 1])}, "label", "up to 16 mm"),
    "half values": ({"label": a_label() * 0.5}, "label", "not whole numbers: 0.5"),
    "interpolated": (
        {"label": with_voxels(a_label(), (0, 0, slice(3)), [0.25, 1.998, 3])},
        "label",
        "not whole numbers: 0.25, 1.998;",
    ),
    "undeclared values": (
        {"label": with_voxels(a_label(), (0, 0, slice(2)), [7, 255])},
        "label",
        "undeclared label values: 7, 255; expected only declared values: 0 (background), 1 (front), 2 (back). "
        'What to do: declare these labels, or add them to "ignore" if they mark voxels without annotation',
    ),
    "negative value": ({"label": with_voxels(a_label(), (0, 0, 0), -1)}, "label", "undeclared label values: -1"),
    "complex image": ({"image": an_image().astype(np.complex64)}, "image", "complex voxels"),
    "complex label": ({"label": a_label().astype(np.complex64)}, "label", "complex voxels"),
}


@pytest.mark.parametrize(("options", "key", "message"), DEFECTS.values(), ids=DEFECTS)
def test_each_defect_is_named_with_its_file(tmp_path, options, key, message):
    case = make_case(tmp_path, **options)
    with pytest.raises(InputError) as raised:
        check([make_case(tmp_path, "good"), case])
    assert raised.value.where == case[key]
    assert message in str(raised.value)
    assert raised.value.others == ()


def remove(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-30])


def spoil_checksum(path):
    data = path.read_bytes()
    path.write_bytes(data[:-8] + bytes([data[-8] ^ 1]) + data[-7:])


FILE_DEFECTS = {
    "missing": (remove, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "0 bytes"),
    "LFS pointer": (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
    "truncated": (truncate, "truncated or corrupt"),
    "checksum": (spoil_checksum, "truncated or corrupt"),
    "no image": (lambda path: path.write_bytes(gzip.compress(b"text " * 200)), "no NIfTI header"),
}


@pytest.mark.parametrize("key", ["image", "label"])
@pytest.mark.parametrize(("spoil", "message"), FILE_DEFECTS.values(), ids=FILE_DEFECTS)
def test_each_unreadable_file_is_named(tmp_path, spoil, message, key):
    case = make_case(tmp_path)
    spoil(tmp_path / f"case_{key}.nii.gz")
    with pytest.raises(InputError) as raised:
        check([case])
    assert raised.value.where == case[key]
    assert message in str(raised.value)


@pytest.mark.parametrize("spacing", [0.0, np.nan])
@pytest.mark.parametrize("key", ["image", "label"])
def test_an_unusable_spacing_is_named(tmp_path, spacing, key):
    case = make_case(tmp_path, suffix=".nii")
    image = nibabel.load(case[key])
    image.header["pixdim"][3] = spacing
    content = image.to_bytes()
    del image
    (tmp_path / f"case_{key}.nii").write_bytes(content)
    with pytest.raises(InputError, match=f"spacing of 1 x 1 x {spacing:g} mm") as raised:
        check([case])
    assert raised.value.where == case[key]


@pytest.mark.parametrize(
    ("spacing", "shift", "allowed"),
    [
        (1.0, 0.0009, True),
        (1.0, 0.0012, False),
        (0.1, 0.0009, True),  # 1e-3 mm is allowed at any resolution
        (0.1, 0.0012, False),
        (5.0, 0.0045, True),  # 1e-3 of 5 mm
        (5.0, 0.0055, False),
    ],
)
def test_affines_may_differ_by_a_thousandth(tmp_path, spacing, shift, allowed):
    affine = np.diag([spacing, spacing, spacing, 1])
    moved = affine.copy()
    moved[0, 3] = shift
    case = make_case(tmp_path, image_affine=affine, label_affine=moved)
    if allowed:
        check([case])
    else:
        with pytest.raises(InputError, match="an affine that moves"):
            check([case])


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (None, None),
        ([0, 1, 2], None),
        ((1, 2), None),  # the background needs no declaration
        ({"front": 1, "back": 2}, None),
        ({"background": 0, "front": 1}, "values: 2; expected only declared values: 0 (background), 1 (front)"),
        ([1], "values: 2; expected only declared values: 0, 1."),
    ],
)
def test_labels_may_be_declared_in_three_ways(tmp_path, labels, complaint):
    case = make_case(tmp_path)
    if complaint is None:
        check([case], labels)
    else:
        with pytest.raises(InputError) as raised:
            check([case], labels)
        assert complaint in str(raised.value)


def test_many_wrong_values_are_not_all_listed(tmp_path):
    label = np.arange(504, dtype=np.int16).reshape(SHAPE)
    with pytest.raises(InputError, match="values: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 491 more;"):
        check([make_case(tmp_path, label=label)])


CHANNELS = [
    ((*SHAPE, 3), 3, None),
    ((*SHAPE, 3, 1), 3, "expected a volume with 3 channels (x, y, z, 3)"),
    ((*SHAPE, 1, 3), 3, "expected a volume with 3 channels (x, y, z, 3)"),
    ((*SHAPE, 3), 4, "expected a volume with 4 channels (x, y, z, 4)"),
    (SHAPE, 3, "expected a volume with 3 channels"),
    ((*SHAPE, 3), 1, "expected one volume"),
]


@pytest.mark.parametrize(("shape", "channels", "complaint"), CHANNELS)
def test_channels_in_one_file_are_its_last_axis(tmp_path, shape, channels, complaint):
    case = make_case(tmp_path, image=an_image(shape))
    if complaint is None:
        check([case], channels=channels)
        check_scans([case], channels=channels)
    else:
        with pytest.raises(InputError) as raised:
            check([case], channels=channels)
        assert complaint in str(raised.value)


def channel_files(folder, *affines):
    names = [save(folder / f"{number}.nii.gz", an_image(), affine) for number, affine in enumerate(affines)]
    return {"image": names, "label": save(folder / "label.nii.gz", a_label())}


def test_channels_in_several_files_are_compared_with_the_first(tmp_path):
    check([channel_files(tmp_path, None, None)], channels=2)
    case = channel_files(tmp_path, None, np.diag([1, 1, 3, 1]))
    with pytest.raises(InputError, match="by up to 12 mm") as raised:
        check_scans([case], channels=2)
    assert raised.value.where == case["image"][1]


def test_the_number_of_files_is_that_of_the_channels(tmp_path):
    with pytest.raises(InputError, match="2 image files in one case; expected 3 files"):
        check([channel_files(tmp_path, None, None)], channels=3)


def test_all_files_with_problems_are_told_in_the_order_of_the_cases(tmp_path):
    cases = [make_case(tmp_path, f"{number:02}") for number in range(15)]
    cases[3] = make_case(tmp_path, "03", image=with_voxels(an_image(), (0, 0, 0), np.nan), label=a_label() * 3)
    for number in range(5, 15):
        (tmp_path / f"{number:02}_label.nii.gz").write_bytes(b"")
    with pytest.raises(InputError) as raised:
        check(cases, workers=3)
    lines = str(raised.value).splitlines()
    assert lines[0].startswith(f"{cases[3]['image']}: found 1 of 504 voxels NaN")
    assert lines[1] == "and 11 more files with problems:"
    assert lines[2] == f"  {cases[3]['label']}: undeclared label values: 3, 6"
    assert lines[3:12] == [f"  {case['label']}: an empty file (0 bytes)" for case in cases[5:14]]
    assert lines[12:] == ["  … and 1 more"]


def test_other_formats_are_checked_too(tmp_path):
    for name, voxels in (("scan", an_image()), ("mask", a_label())):
        sitk.WriteImage(sitk.GetImageFromArray(voxels.transpose(2, 1, 0)), str(tmp_path / f"{name}.nrrd"))
    case = {"image": str(tmp_path / "scan.nrrd"), "label": str(tmp_path / "mask.nrrd")}
    check([case])
    with pytest.raises(InputError, match=r"mask\.nrrd: found undeclared label values: 2"):
        check([case], [1])


def test_slices_are_checked_as_such(tmp_path):
    slices = make_case(tmp_path, image=an_image((9, 8)), label=a_label()[:, :, 3])
    check([slices], spatial_dims=2)
    check_scans([slices], spatial_dims=2)
    volumes = make_case(tmp_path, "volume")
    with pytest.raises(InputError) as raised:
        check([volumes], spatial_dims=2)
    assert "3 axes, shape (9, 8, 7); expected one slice (x, y)" in str(raised.value)
    assert [other.where for other in raised.value.others] == [volumes["label"]]
    with pytest.raises(InputError, match=r"expected one slice \(x, y\)"):
        check_scans([volumes], spatial_dims=2)


def test_scans_need_no_label(tmp_path):
    scans = [{"image": make_case(tmp_path)["image"]}]
    check_scans(scans)
    truncate(tmp_path / "case_image.nii.gz")
    with pytest.raises(InputError, match=r"case_image\.nii\.gz: found a truncated"):
        check_scans(scans)


def listed(folder, folds, test=(), **subjects):
    """A datalist of cases in these folds, each an image of its own noise, and their items."""
    items = [make_case(folder, name, image=an_image() + number) for number, name in enumerate(folds)]
    training = [
        {**item, "fold": fold, **({"subject": subjects[name]} if name in subjects else {})}
        for item, (name, fold) in zip(items, folds.items(), strict=True)
    ]
    (folder / "list.json").write_text(json.dumps({"training": training, "test": list(test)}))
    return items, {"datalist": folder / "list.json", "dataset_dir": folder}


def test_an_image_in_two_folds_is_refused_whatever_it_is_called(tmp_path):
    items, where = listed(tmp_path, {"a": 0, "b": 1, "c": 1})
    check(items, **where)
    nibabel.Nifti1Image(an_image().astype(np.float64), np.eye(4)).to_filename(items[1]["image"])
    # Without a datalist nobody knows the folds, and in one fold a copy only counts twice.
    check(items)
    with pytest.raises(InputError, match=r"this image in fold 0, its copy in fold 1: .*b_image\.nii\.gz") as raised:
        check(items, **where)
    assert [raised.value.where, *(other.where for other in raised.value.others)] == [i["image"] for i in items[:2]]
    check(items[1:], **where)


def test_images_that_agree_in_a_sample_are_compared_as_a_whole(tmp_path):
    items, where = listed(tmp_path, {"a": 0, "b": 1})
    scan = np.zeros((80, 80, 80), np.int16)
    scan[40, 40, 40] = 1
    for item, other in zip(items, (1, 2), strict=True):
        scan[41, 41, 41] = other
        save(item["image"], scan)
        save(item["label"], np.zeros(scan.shape, np.uint8))
    digests = [hashlib.blake2b(), hashlib.blake2b()]
    for digest, item in zip(digests, items, strict=True):
        add_sample(digest, nibabel.load(item["image"]).get_fdata())
    assert digests[0].digest() == digests[1].digest()
    check(items, **where)


def test_a_subject_on_both_sides_of_a_split_is_refused(tmp_path):
    items, where = listed(tmp_path, {"a": 0, "b": 1, "c": 0}, a="s1", b="s1", c="s2")
    with pytest.raises(InputError, match="subject s1 in fold 0, and in fold 1") as raised:
        check(items, **where)
    assert [other.where for other in raised.value.others] == [items[1]["image"]]
    # The test scan itself is not read: it need not be on the machine that trains.
    items, where = listed(tmp_path, {"a": 0, "c": 0}, [{"image": "absent.nii", "subject": "s2"}], c="s2")
    with pytest.raises(InputError, match="subject s2 in fold 0, and in the test part") as raised:
        check(items, **where)
    assert (raised.value.where, raised.value.others) == (items[1]["image"], ())
    # What the datalist does not name has no subject and no fold.
    check([make_case(tmp_path, "elsewhere")], **where)


def test_a_sheared_scan_passes_because_resampling_takes_the_shear_out(tmp_path):
    """A linear function of the place in the world stays that function through the transforms of training."""
    affine = np.array([[1.0, 0.2, 0, -5], [0, 1.3, 0.1, 4], [0, 0, 2.0, 7], [0, 0, 0, 1]])

    def value(places):
        return places @ np.array([1.0, -2.0, 0.5]) + 100

    def places(shape, to_world):
        return np.moveaxis(np.indices(shape), 0, -1) @ to_world[:3, :3].T + to_world[:3, 3]

    shape = (20, 18, 16)
    label = np.zeros(shape, np.uint8)
    label[5:9, 5:9, 5:9] = 1
    case = make_case(
        tmp_path,
        image=value(places(shape, affine)).astype(np.float32),
        label=label,
        image_affine=affine,
        label_affine=affine,
    )
    check([case])
    load = LoadScand(["image", "label"], ensure_channel_first=True)
    resample = Spacingd(["image", "label"], pixdim=[1.0, 1.0, 1.0], mode=["bilinear", "nearest"])
    item = resample(Orientationd(["image", "label"], axcodes="RAS", labels=None)(load(case)))
    axes = item["image"].affine[:3, :3].numpy()
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    inside = item["label"][0].numpy() == 1
    world = places(inside.shape, item["image"].affine.numpy())
    assert inside.sum() > 100
    np.testing.assert_allclose(item["image"][0].numpy()[inside], value(world)[inside], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "progress", "terminal", "shown"),
    [(49, True, True, False), (50, True, True, True), (50, False, True, False), (50, True, False, False)],
)
def test_progress_of_many_cases_is_shown_on_a_terminal(tmp_path, monkeypatch, count, progress, terminal, shown):
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    check([make_case(tmp_path)] * count, progress=progress)
    assert (f"{count}/{count}" in stderr.getvalue()) == shown
    assert shown or stderr.getvalue() == ""


def test_voxels_of_spoilt_cases_are_not_kept(tmp_path):
    volume = np.full((100, 100, 100), np.nan, np.float32)
    scans = [{"image": save(tmp_path / f"{number}.nii.gz", volume)} for number in range(10)]
    peaks = []
    for count in (1, 10):
        tracemalloc.start()
        with pytest.raises(InputError):
            check_scans(scans[:count], workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + volume.nbytes


@pytest.mark.slow
@pytest.mark.real
def test_real_cases_pass(real_data, request):
    datalist = request.config.rootpath / "data_manifests" / "msd_task04_hippocampus.json"
    parts = ("training", "validation")
    folder = real_data / "hippocampus"
    cases = [case for part in parts for case in read_cases(datalist, folder, fold=0, part=part)]
    assert len(cases) == 208
    check(cases, progress=False)
    check_scans(find_scans(folder / "imagesTr"), progress=False)


@pytest.mark.real
def test_a_real_dicom_series_passes(real_data):
    check_scans(find_scans(real_data, ["ct_dicom"]))


EMPTY, IGNORED = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 255, np.uint8)
HALF = np.where(np.arange(SHAPE[2]) % 2, a_label(), 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("training", "validation", "refused"),
    [
        ([IGNORED, HALF], [HALF, IGNORED], ""),
        ([IGNORED, HALF], [], ""),
        ([IGNORED, IGNORED], None, ""),
        ([HALF, HALF], [IGNORED], "the validation case: found"),
        ([HALF, HALF], [EMPTY, IGNORED], "the 2 validation cases: found only empty label maps, the first"),
        ([IGNORED, EMPTY], [HALF], "the 2 training cases: found only empty label maps"),
    ],
    ids=["one of each", "no validation", "no training", "one validates", "two validate", "none trains"],
)
def test_a_training_needs_a_labelled_voxel_on_both_sides(tmp_path, training, validation, refused):
    images = iter(np.random.default_rng(0).normal(100, 20, (8, *SHAPE)).astype(np.float32))

    def make(name, labels):
        return [make_case(tmp_path, f"{name}{n}", image=next(images), label=each) for n, each in enumerate(labels)]

    cases = make("train", training), None if validation is None else make("valid", validation)
    if not refused:
        check(cases[0], validation=cases[1], ignored=(255,))
        return
    with pytest.raises(InputError, match=re.escape(refused)):
        check(cases[0], validation=cases[1], ignored=(255,))
