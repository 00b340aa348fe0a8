"""The check as a whole: resuming, workers, memory, mistakes of its own, files that are none, and formats."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

import pipeline.data.check_dataset as module
from pipeline.cli import main
from pipeline.data.check_dataset import check_dataset
from pipeline.data.errors import InputError
from pipeline.data.inspect_case import Stopped, inspect_case
from pipeline.report.thumbnail import draw_thumbnail

from .conftest import AFFINE, SHAPE


@pytest.fixture
def ten(small):
    for number in range(10):
        small.add(f"c{number}")
    return small


@pytest.fixture
def inspected(monkeypatch):
    """The names of the cases that are read, in their order; what they are told to raise, they raise."""
    names, errors = [], {}

    def inspect(case, *args):
        names.append(case.name)
        if case.name in errors:
            raise errors[case.name]
        return inspect_case(case, *args)

    monkeypatch.setattr(module, "inspect_case", inspect)
    return names, errors


def found_in(report):
    return [(f["kind"], f["case"], f["file"]) for f in report["findings"] if f["severity"] != "note"]


def lasting(report):
    """The report but for when it was made."""
    return json.dumps({key: value for key, value in report.items() if key not in ("made", "seconds", "thumbnails")})


def test_scans_to_predict_can_be_checked_without_training_cases(small):
    """Their labels are declared, and no label map says whether they are used."""
    image = small.save("a.nii.gz", small.image(0))
    content = {"labels": {"0": "background", "1": "front"}, "test": [image, "missing.nii.gz"]}
    (small.folder / "list.json").write_text(json.dumps(content))
    report = check_dataset(small.folder / "list.json")
    assert found_in(report) == [("missing", "missing", "missing.nii.gz")]
    assert (report["summary"]["training"], report["summary"]["test"]) == (0, 2)


# --- going on where a check stopped ----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_check_reads_only_what_is_left(ten, tmp_path, inspected, workers):
    names, errors = inspected
    whole = check_dataset(ten.write(), tmp_path / "whole", workers=1, draw=draw_thumbnail)
    names.clear()
    errors["c4"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        check_dataset(ten.write(), tmp_path / "report", workers=workers, draw=draw_thumbnail)
    assert not (tmp_path / "report" / "check.json").exists()
    errors.clear()
    lines = (tmp_path / "report" / "cases.jsonl").read_text().split("\n")
    done = {json.loads(line)["record"]["name"] for line in lines if line}
    assert {"c0", "c1"} <= done <= set(names) - {"c4"}
    names.clear()
    report = check_dataset(ten.write(), tmp_path / "report", workers=workers, draw=draw_thumbnail)
    assert sorted(names) == sorted({f"c{number}" for number in range(10)} - done)
    assert lasting(report) == lasting(whole)
    assert report["thumbnails"] == whole["thumbnails"]
    assert len(report["thumbnails"]) == 10


def test_pictures_are_drawn_where_a_check_without_them_stopped_and_kept_for_one_that_needs_none(
    ten, tmp_path, inspected
):
    names, _ = inspected
    assert check_dataset(ten.write(), tmp_path)["thumbnails"] == {}
    assert len(check_dataset(ten.write(), tmp_path, draw=draw_thumbnail)["thumbnails"]) == 10
    assert len(names) == 20
    # As `lightskip plan` does after `lightskip check`: no file is read again.
    check_dataset(ten.write(), tmp_path)
    assert len(names) == 20
    other = check_dataset(ten.write(), tmp_path, draw=lambda *_, **__: b"another picture")["thumbnails"]
    assert set(other.values()) == {b"another picture"}


def test_a_changed_file_is_read_again_and_no_other(ten, tmp_path, inspected):
    names, _ = inspected
    check_dataset(ten.write(), tmp_path)
    names.clear()
    ten.save("images/c3.nii.gz", ten.image(99))
    os.utime(ten.folder / "labels" / "c5.nii.gz", ns=(1, 1))
    (ten.folder / "labels" / "c7.nii.gz").unlink()
    report = check_dataset(ten.write(), tmp_path, workers=1)
    assert names == ["c3", "c5", "c7"]
    assert found_in(report) == [("missing", "c7", "labels/c7.nii.gz")]
    names.clear()
    check_dataset(ten.write(), tmp_path, resume=False, workers=1)
    assert len(names) == 10


def test_the_voxels_beside_a_header_are_watched_as_well(small, tmp_path, inspected):
    names, _ = inspected
    image = nib.Nifti1Pair(small.image(0), AFFINE)
    image.to_filename(small.folder / "a.img")
    small.add("a", image="a.hdr")
    small.add("b")
    check_dataset(small.write(), tmp_path / "report")
    names.clear()
    nib.Nifti1Pair(small.image(1), AFFINE).to_filename(small.folder / "again.img")
    (small.folder / "again.img").replace(small.folder / "a.img")
    check_dataset(small.write(), tmp_path / "report")
    assert names == ["a"]


def test_voxels_that_lie_in_a_file_of_another_name_are_watched_too(small, tmp_path, inspected):
    names, _ = inspected
    for number in range(2):
        image = as_itk(small.folder, f"{number}.mhd", small.image(number))
        small.add("", image=image, label=small.save(f"l{number}.nii", small.label()))
    (small.folder / "0.raw").rename(small.folder / "voxels.dat")
    header = small.folder / "0.mhd"
    header.write_text(header.read_text().replace("0.raw", "voxels.dat"))
    assert found_in(check_dataset(small.write(), tmp_path)) == []
    names.clear()
    (small.folder / "voxels.dat").write_bytes(bytes(8))
    assert [case for _, case, _ in found_in(check_dataset(small.write(), tmp_path))] == ["0"]
    assert names == ["0"]


def test_other_labels_or_channels_are_another_check(ten, tmp_path, inspected):
    names, _ = inspected
    check_dataset(ten.write(), tmp_path)
    names.clear()
    ten.described["labels"] = {"0": "background", "1": "front"}
    report = check_dataset(ten.write(), tmp_path)
    assert len(names) == 10
    assert {kind for kind, *_ in found_in(report)} == {"label-undeclared"}


def test_other_folds_subjects_and_names_are_not_read_anew_and_are_the_new_ones(ten, tmp_path, inspected):
    names, _ = inspected
    check_dataset(ten.write(), tmp_path)
    names.clear()
    for number, item in enumerate(ten.items["training"]):
        item.update(fold=number, subject="s")
    report = check_dataset(ten.write(), tmp_path)
    assert names == []
    assert [case["fold"] for case in report["cases"]] == list(range(10))
    assert {kind for kind, *_ in found_in(report)} == {"leakage"}


def test_files_that_two_cases_name_leak_the_second_time_as_the_first(ten, tmp_path):
    ten.items["training"].append(ten.items["training"][0] | {"fold": 1})
    first = check_dataset(ten.write(), tmp_path)
    assert [finding[0] for finding in found_in(first)] == ["duplicate", "leakage"] * 2
    assert lasting(check_dataset(ten.write(), tmp_path)) == lasting(first)


def test_a_line_that_broke_does_not_matter(ten, tmp_path, inspected):
    names, _ = inspected
    first = check_dataset(ten.write(), tmp_path, workers=1)
    path = tmp_path / "cases.jsonl"
    path.write_bytes(path.read_bytes()[:-200])
    names.clear()
    assert lasting(check_dataset(ten.write(), tmp_path)) == lasting(first)
    assert names == ["c9"]


def test_workers_do_not_change_the_report(ten, tmp_path):
    ten.save("labels/c3.nii.gz", ten.label() * 7)
    (ten.folder / "images" / "c6.nii.gz").write_bytes(b"")
    ten.items["training"][2]["image"] = ten.items["training"][1]["image"]
    texts = []
    for workers in (1, 2, 5):
        check_dataset(ten.write(), tmp_path / str(workers), workers=workers)
        lines = (tmp_path / str(workers) / "check.json").read_text().splitlines()
        texts.append([line for line in lines if not line.startswith((' "made"', ' "seconds"'))])
    assert texts[0] == texts[1] == texts[2]
    assert len(texts[0]) > 1000


# --- what goes wrong in the check itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"), [(ZeroDivisionError("a bug"), "ZeroDivisionError: a bug"), (MemoryError(), "too little memory")]
)
def test_an_error_in_one_case_costs_only_that_case(ten, tmp_path, inspected, error, words):
    names, errors = inspected
    errors["c4"] = error
    report = check_dataset(ten.write(), tmp_path)
    assert found_in(report) == [("check-failed", "c4", "images/c4.nii.gz")]
    assert words in report["findings"][0]["found"]
    assert [case["shape"] is None for case in report["cases"]].count(True) == 1
    # It may have been the moment: the case is read again the next time.
    errors.clear()
    names.clear()
    assert found_in(check_dataset(ten.write(), tmp_path)) == []
    assert names == ["c4"]


def test_too_little_memory_for_a_file_is_no_broken_file(ten, monkeypatch):
    def too_large(*_):
        raise MemoryError

    monkeypatch.setattr("pipeline.data.images.nifti.NiftiImage.voxels", too_large)
    report = check_dataset(ten.write())
    assert {kind for kind, *_ in found_in(report)} == {"check-failed", "label-unused"}


def test_ctrl_c_gives_up_the_cases_that_are_being_read(ten, monkeypatch):
    begun, given_up = threading.Event(), []

    def inspect(case, folder, wanted, stop, draw):
        if case.name == "c0":
            assert begun.wait(20)
            raise KeyboardInterrupt
        begun.set()
        assert stop.wait(20)
        with pytest.raises(Stopped):
            inspect_case(case, folder, wanted, stop, draw)
        given_up.append(case.name)
        raise Stopped

    monkeypatch.setattr(module, "inspect_case", inspect)
    with pytest.raises(KeyboardInterrupt):
        check_dataset(ten.write(), workers=2)
    assert "c1" in given_up


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of POSIX")
def test_ctrl_c_ends_with_130_and_without_a_traceback(ten, tmp_path):
    code = textwrap.dedent("""
        import os, signal, sys
        import pipeline.data.check_dataset as module
        inspect = module.inspect_case
        def slow(case, folder, wanted, stop, draw):
            if case.name == "c4":
                os.kill(os.getpid(), signal.SIGINT)
                stop.wait(300)
            return inspect(case, folder, wanted, stop, draw)
        module.inspect_case = slow
        from pipeline.cli import main
        sys.exit(main(sys.argv[1:]))
    """)
    words = ["check", str(ten.write()), "-o", str(tmp_path / "report"), "--workers", "1"]
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 130
    assert run.stderr == "to continue, run the same command again\ninterrupted\n"
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["cases.jsonl"]


def test_as_many_cases_are_in_memory_as_there_are_workers(small):
    shape = (80, 80, 80)
    for number in range(6):
        image = small.save(f"{number}.nii", small.image(number, shape))
        small.add("", image=image, label=small.save(f"l{number}.nii", small.label(shape)))
    items, peaks = small.items["training"], []
    for count in (1, 6):
        small.items["training"] = items[:count]
        tracemalloc.start()
        check_dataset(small.write(), workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 80**3 * 4


@pytest.mark.parametrize(
    ("blocked", "options"),
    [
        ("report", {}),
        ("report/check.json", {}),
        ("report/cases.jsonl", {}),
        ("", {"workers": 0}),
        ("", {"workers": -3}),
    ],
)
def test_what_cannot_be_done_is_said(ten, tmp_path, blocked, options):
    if blocked == "report":
        (tmp_path / "report").touch()
    elif blocked:
        (tmp_path / blocked / "x").mkdir(parents=True)
    with pytest.raises(InputError):
        check_dataset(ten.write(), tmp_path / "report", **options)
    assert not list(tmp_path.rglob(".*"))


# --- names and files of all kinds ------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".png", ".nrrd"])
def test_what_would_never_end_is_not_read(ten, ending):
    os.mkfifo(ten.folder / f"pipe{ending}")
    (ten.folder / f"device{ending}").symlink_to("/dev/zero")
    (ten.folder / "series").mkdir()
    os.mkfifo(ten.folder / "series" / "1.dcm")
    places = [f"pipe{ending}", f"device{ending}", "series"]
    for item, place in zip(ten.items["training"], places, strict=False):
        item["image"] = place
    assert found_in(check_dataset(ten.write())) == [("not-an-image", place.split(".")[0], place) for place in places]


def test_a_file_that_the_system_refuses_is_a_finding_and_is_tried_again(ten, tmp_path, inspected):
    """A name too long stands for all of them: whoever runs as root may read whatever is there."""
    names, _ = inspected
    ten.items["training"][3]["image"] = "x" * 300 + ".nii.gz"
    ten.items["training"][5]["label"] = "null\0byte.nii.gz"
    report = check_dataset(ten.write(), tmp_path)
    assert [(kind, file) for kind, _, file in found_in(report)] == [
        ("unreadable", "x" * 300 + ".nii.gz"),
        ("missing", "null\0byte.nii.gz"),
    ]
    names.clear()
    check_dataset(ten.write(), tmp_path)
    assert names == ["x" * 300]


ODD_NAMES = [
    "line\nbreak",
    "quote\"s'",
    "<script>alert(1)",
    "\udcff\udcfe",
    "~tilde",
    "ä 😀 \u202e",
]


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_may_hold_anything(small, tmp_path):
    for name in ODD_NAMES:
        small.add(name)
        (small.folder / "labels" / f"{name}.nii.gz").write_bytes(b"broken")
        float_label = small.save(f"labels/{name} sound.nii.gz", small.label().astype(np.float32))
        small.add(f"{name} sound", label=float_label)
    assert main(["check", str(small.write()), "-o", str(tmp_path / "report"), "--fix", str(tmp_path / "fix")]) == 1
    report = json.loads((tmp_path / "report" / "check.json").read_text())
    wrong = [finding["case"] for finding in report["findings"] if finding["severity"] == "problem"]
    assert wrong == ODD_NAMES
    repaired = check_dataset(tmp_path / "fix" / "datalist.json")
    assert "label-float" not in repaired["summary"]["kinds"]
    assert repaired["summary"]["problems"] == len(ODD_NAMES)
    page = (tmp_path / "report" / "check.html").read_text()
    assert page.count("<script") == 1
    assert "\u202e" not in page


# --- formats, axes and channels --------------------------------------------------------------------------------------


def a_png(folder, name, *, bands=1, seed=0):
    shape = (20, 30) if bands == 1 else (20, 30, bands)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, shape, np.uint8)).save(folder / name)
    return name


def png_label(folder, name, background=0):
    label = np.full((20, 30), background, np.uint8)
    label[5:9, 5:9] = 1
    Image.fromarray(label).save(folder / name)
    return name


def as_itk(folder, name, voxels, affine=AFFINE):
    image = sitk.GetImageFromArray(voxels.T.copy())
    axes = (np.diag([-1.0, -1, 1, 1]) @ affine)[:3]
    spacing = np.linalg.norm(axes[:, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((axes[:, :3] / spacing).ravel().tolist())
    image.SetOrigin(axes[:, 3].tolist())
    sitk.WriteImage(image, str(folder / name))
    return name


WAYS = {
    "NIfTI": (lambda s, n: (s.save(f"{n}.nii", s.image(n)), s.save(f"l{n}.nii", s.label())), 3, 1),
    "4D NIfTI": (lambda s, n: (s.save(f"{n}.nii", s.image(n, (*SHAPE, 2))), s.save(f"l{n}.nii", s.label())), 3, 2),
    "an axis of length 1": (
        lambda s, n: (s.save(f"{n}.nii", s.image(n, (*SHAPE, 1))), s.save(f"l{n}.nii", s.label())),
        3,
        1,
    ),
    "a file per channel": (
        lambda s, n: (
            [s.save(f"{n}_000{k}.nii.gz", s.image(10 * n + k)) for k in range(3)],
            s.save(f"l{n}.nii", s.label()),
        ),
        3,
        3,
    ),
    "2D NIfTI": (
        lambda s, n: (s.save(f"{n}.nii", s.image(n, (12, 10))), s.save(f"l{n}.nii", s.label((12, 10)))),
        2,
        1,
    ),
    "PNG": (lambda s, n: (a_png(s.folder, f"{n}.png", seed=n), png_label(s.folder, f"l{n}.png")), 2, 1),
    "PNG in colour": (
        lambda s, n: (a_png(s.folder, f"{n}.png", bands=3, seed=n), png_label(s.folder, f"l{n}.png")),
        2,
        3,
    ),
    ".hdr and .img": (
        lambda s, n: (
            nib.Nifti1Pair(s.image(n), AFFINE).to_filename(s.folder / f"{n}.img") or f"{n}.hdr",
            s.save(f"l{n}.nii", s.label()),
        ),
        3,
        1,
    ),
    "NRRD": (lambda s, n: (as_itk(s.folder, f"{n}.nrrd", s.image(n)), as_itk(s.folder, f"l{n}.nrrd", s.label())), 3, 1),
    "MHA, label NIfTI": (
        lambda s, n: (as_itk(s.folder, f"{n}.mha", s.image(n)), s.save(f"l{n}.nii", s.label())),
        3,
        1,
    ),
    "MHD and its raw file": (
        lambda s, n: (as_itk(s.folder, f"{n}.mhd", s.image(n)), s.save(f"l{n}.nii", s.label())),
        3,
        1,
    ),
}


@pytest.mark.parametrize(("make", "dims", "channels"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("modality", [False, True], ids=["unnamed", "named"])
def test_axes_and_channels_follow_from_the_files(small, make, dims, channels, modality):
    del small.described["modality"], small.described["labels"]
    if modality:
        small.described["modality"] = {str(number): f"m{number}" for number in range(channels)}
    for number in range(4):
        image, label = make(small, number)
        small.add("", image=image, label=label)
    report = check_dataset(small.write())
    assert found_in(report) == []
    assert (report["spatial_dims"], len(report["channels"])) == (dims, channels)
    case = report["cases"][1]
    assert len(case["shape"]) == len(case["spacing"]) == dims
    assert [entry["channel"] for entry in case["intensity"]] == list(range(channels))
    assert set(report["labels"]) >= {"background", "label_1"}
    if dims == 3:
        assert (case["orientation"], case["spacing"]) == ("LAS", [1, 1.5, 2])


def test_a_background_of_255_is_no_structure(small):
    small.described["labels"] = {"1": "cell", "255": "background"}
    for number in range(4):
        image = a_png(small.folder, f"{number}.png", seed=number)
        small.add("", image=image, label=png_label(small.folder, f"l{number}.png", background=255))
    report = check_dataset(small.write())
    assert found_in(report) == []
    assert [finding["kind"] for finding in report["findings"]] == ["labels-not-consecutive"]
    for case in report["cases"]:
        assert case["classes"].keys() == {"cell"}
        assert case["classes"]["cell"]["px2"] == case["foreground"][0]["voxels"] == 16


def test_a_channel_that_cannot_be_read_does_not_lend_its_number_to_the_next(small):
    small.described["modality"] = {"0": "T1", "1": "T2"}
    for number in range(3):
        files = [
            small.save(f"{number}_000{k}.nii", small.image(10 * number + k).astype([np.float32, np.int16][k]))
            for k in (0, 1)
        ]
        small.add("", image=files, label=small.save(f"l{number}.nii", small.label()))
    (small.folder / "1_0000.nii").write_bytes(b"")
    case = check_dataset(small.write())["cases"][1]
    assert [entry["channel"] for entry in case["intensity"]] == [1]
    assert case["dtypes"] == ["int16", "uint8"]


@pytest.mark.parametrize("value", [1e300, -1e300, 2.0**60, 1e9])
@pytest.mark.parametrize("declared", [True, False])
def test_a_fill_value_in_a_label_map_does_not_fill_the_memory(ten, value, declared):
    label = ten.label().astype(np.float64)
    label[0, 0, 0] = value
    ten.save("labels/c2.nii.gz", label)
    if not declared:
        del ten.described["labels"]
    kinds = {kind for kind, case, _ in found_in(check_dataset(ten.write())) if case == "c2"}
    if abs(value) > 2**31:
        assert kinds == {"range"}
    else:
        assert kinds >= {"label-undeclared"} if declared else {"label-islands"}


def test_the_report_is_strict_json_whatever_the_voxels_hold(small, tmp_path):
    oddities = {
        "nan": np.full(SHAPE, np.nan, np.float32),
        "inf": np.full(SHAPE, np.inf, np.float32),
        "large": small.image(0).astype(np.float64) * 1e300,
        "constant": np.zeros(SHAPE, np.int16),
        "tiny": small.image(1) * 1e-30,
        "bytes": (small.image(2) > 100).astype(np.uint8),
        "longs": small.image(3).astype(np.int32),
    }
    for name, voxels in oddities.items():
        small.add(name, image=small.save(f"{name}.nii", voxels))
        small.add(f"as label {name}", label=small.save(f"label {name}.nii", voxels))
    report = check_dataset(small.write(), tmp_path)
    text = (tmp_path / "check.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        key: value for key, value in report.items() if key != "thumbnails"
    }
    stack = [report]
    while stack:
        value = stack.pop()
        assert type(value) in (dict, list, str, int, float, bool, type(None), bytes), value
        stack += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []


@pytest.mark.slow
@pytest.mark.real
def test_a_real_dicom_folder_is_an_image(real_data, tmp_path):
    content = {"training": [{"image": str(real_data / "ct_dicom"), "label": str(tmp_path / "label.mha")}]}
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(real_data / "ct_dicom")))
    image = reader.Execute()
    sitk.WriteImage(sitk.Cast(image > 100, sitk.sitkUInt8), str(tmp_path / "label.mha"))
    (tmp_path / "list.json").write_text(json.dumps(content))
    report = check_dataset(tmp_path / "list.json", tmp_path / "report")
    others = [finding for finding in report["findings"] if finding["kind"] not in ("label-islands", "path-outside")]
    assert [finding["severity"] for finding in others] == ["note"]
    (case,) = report["cases"]
    assert tuple(case["shape"]) == image.GetSize()
    assert case["spacing"] == pytest.approx(image.GetSpacing(), abs=1e-5)
    extremes = sitk.MinimumMaximumImageFilter()
    extremes.Execute(image)
    assert (case["intensity"][0]["min"], case["intensity"][0]["max"]) == (extremes.GetMinimum(), extremes.GetMaximum())
