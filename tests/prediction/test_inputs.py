"""What the words of `lightskip predict` mean, and what is refused before anything is computed."""

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from pipeline.data.check import check_scans
from pipeline.data.errors import InputError
from pipeline.prediction.inputs import ScanInput, read_inputs

DICOM = bytes(128) + b"DICM"
AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])


def put(folder: Path, *names: str) -> None:
    """Make files; those without an ending begin like DICOM files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"" if Path(name).suffix else DICOM)


def shown(scans: list[ScanInput], folder: Path) -> list[str]:
    """Scans as text: NAME=FILE,FILE with files relative to the folder, and ! where there is a problem."""
    texts = []
    for scan in scans:
        files = ",".join(os.path.relpath(file, folder) for file in scan.files)
        texts.append(f"{scan.name}={files}" + "!" * (scan.problem is not None))
    return texts


# Files there are, words, channels, and the scans.
WORDS: dict[str, tuple[str, str, int, str]] = {
    "order as given": ("b.nii.gz a.nrrd c.mha d.png", "d.png b.nii.gz a.nrrd", 1, "d=d.png b=b.nii.gz a=a.nrrd"),
    "folder in natural order": ("s10.nii s9.nii", ".", 1, "s9=s9.nii s10=s10.nii"),
    "folder and file": ("x/a.nii b.nii", "b.nii x", 1, "b=b.nii a=x/a.nii"),
    "same file twice": ("a.nii b.nii", "a.nii ./a.nii . b.nii", 1, "a=a.nii b=b.nii"),
    "pair by its header": ("a.hdr a.img", "a.hdr", 1, "a=a.hdr"),
    "pair by its voxels": ("a.hdr a.img", "a.img", 1, "a=a.hdr"),
    "pair by both": ("a.hdr a.img", "a.hdr a.img", 1, "a=a.hdr"),
    "series": ("ct/IM1 ct/IM2", "ct", 1, "ct=ct"),
    "series of a medium": ("p/DICOMDIR p/SE1/IM1 p/SE2/IM1", "p", 1, "SE1=p/SE1 SE2=p/SE2"),
    "series in one more folder": ("p1/DICOM/IM1 p2/DICOM/IM1", "p1 p2", 1, "p1_DICOM=p1/DICOM p2_DICOM=p2/DICOM"),
    "one DICOM file": ("ct/IM1 ct/IM2", "ct/IM1", 1, "IM1=ct/IM1"),
    "folder named like a file": ("x.nii.gz/a.nii", "x.nii.gz", 1, "a=x.nii.gz/a.nii"),
    "channels as words": (
        "b_0000.nii b_0001.nii a_0000.nii a_0001.nii",
        "b_0001.nii a_0000.nii b_0000.nii a_0001.nii",
        2,
        "b=b_0000.nii,b_0001.nii a=a_0000.nii,a_0001.nii",
    ),
    "channels in a folder": ("x/a_0000.nii x/a_0001.nii", "x", 2, "a=x/a_0000.nii,x/a_0001.nii"),
    "one channel, named as nnU-Net does": ("a_0000.nii b_0000.nii", ".", 1, "a=a_0000.nii b=b_0000.nii"),
    "one channel's numbers are names": ("a_0000.nii a_0001.nii", ".", 1, "a_0000=a_0000.nii a_0001=a_0001.nii"),
    "free names": ("s/t1.nii s/t2.nii", "s/t1.nii,s/t2.nii", 2, "t1=s/t1.nii,s/t2.nii"),
    "free names of two": (
        "s/t1.nii s/t2.nii r/t1.nii r/t2.nii",
        "s/t1.nii,s/t2.nii r/t1.nii,r/t2.nii",
        2,
        "s_t1=s/t1.nii,s/t2.nii r_t1=r/t1.nii,r/t2.nii",
    ),
    "a real comma": ("a,b.nii", "a,b.nii", 1, "a,b=a,b.nii"),
    "one has them all": ("a.nii", "a.nii", 2, "a=a.nii"),
    "two days": ("d1/a.nii d2/a.nii b.nii", "d1/a.nii d2 b.nii", 1, "d1_a=d1/a.nii d2_a=d2/a.nii b=b.nii"),
    "two patients' days": ("p/d/a.nii q/d/a.nii", "p/d q/d", 1, "p_d_a=p/d/a.nii q_d_a=q/d/a.nii"),
    "a name like a prefix": (
        "d1/a.nii d2/a.nii x/d1_a.nii",
        "d1 d2 x",
        1,
        "d1_a=d1/a.nii d2_a=d2/a.nii x_d1_a=x/d1_a.nii",
    ),
    "outputs beside it": (
        "a.nii.gz a_seg.nii.gz a_entropy.nii.gz a.seg.nrrd a_seg.dcm a_preview.png",
        ".",
        1,
        "a=a.nii.gz",
    ),
    "outputs of series": (
        "p1/CT/1.dcm p2/CT/1.dcm p1_CT_seg.nii.gz p2_CT_seg.nii.gz",
        ".",
        1,
        "p1_CT=p1/CT p2_CT=p2/CT",
    ),
    "outputs of two days": ("d1/a.nii d2/a.nii d1/d1_a_seg.nii.gz", "d1 d2", 1, "d1_a=d1/a.nii d2_a=d2/a.nii"),
    "an output by name": ("a.nii.gz a_seg.nii.gz", "a_seg.nii.gz", 1, "a_seg=a_seg.nii.gz"),
    "not there": ("a.nii b.nii", "a.nii c.nii b.nii", 1, "a=a.nii c.nii=c.nii! b=b.nii"),
    "a channel not there": (
        "x/a_0000.nii x/b_0000.nii x/b_0001.nii",
        "x",
        2,
        "a=x/a_0000.nii! b=x/b_0000.nii,x/b_0001.nii",
    ),
    "a joined file not there": ("a.nii b.nii", "a.nii,x.nii b.nii,a.nii", 2, "x.nii=a.nii,x.nii! b=b.nii,a.nii"),
    "one file twice": ("a.nii", "a.nii,a.nii", 2, "a=a.nii,a.nii!"),
    "joined for one channel": ("a.nii b.nii", "a.nii,b.nii", 1, "a=a.nii,b.nii!"),
    "not an image": ("a.nii notes.txt", "notes.txt a.nii", 1, "notes.txt=notes.txt! a=a.nii"),
    "a medium's list": ("DICOMDIR", "DICOMDIR", 1, "DICOMDIR=DICOMDIR!"),
    "a folder without scans among others": ("x/notes.txt a.nii", "x a.nii x", 1, "x=x! a=a.nii"),
    "missing beside one of its name": ("a.nii", "a.nii a.nrrd", 1, "a=a.nii a.nrrd=a.nrrd!"),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_are_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    files, words, channels, expected = WORDS[name]
    folder = tmp_path / "W"
    put(folder, *files.split())
    monkeypatch.chdir(folder)
    scans = read_inputs(words.split(), channels=channels)
    assert shown(scans, folder) == expected.split()
    assert all(Path(file).is_absolute() for scan in scans for file in scan.files)
    for scan in scans:
        assert scan.problem is None or "\n" not in str(scan.problem)


def test_the_raw_half_of_a_header_is_no_scan_of_its_own(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16))
    for name in ("a.mhd", "b.nhdr"):
        sitk.WriteImage(image, str(tmp_path / name))
    words = sorted(tmp_path.iterdir())
    assert len(words) == 4
    assert shown(read_inputs(words, channels=1), tmp_path) == ["a=a.mhd", "b=b.nhdr"]


def test_an_empty_folder_among_others_is_a_problem_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, "a.nii")
    (tmp_path / "empty").mkdir()
    empty, other = read_inputs([tmp_path / "empty", tmp_path / "a.nii"], channels=1)
    assert (other.name, other.problem) == ("a", None)
    assert empty.problem is not None
    assert (empty.problem.where, empty.problem.found) == (tmp_path / "empty", "an empty folder")


def test_what_a_folder_leaves_out_is_noted_once(tmp_path: Path) -> None:
    put(tmp_path, "x/c2.nii.gz", "x/c10.nii.gz", "x/d.nrrd", "x/p/IM1")
    (note,) = [note for scan in read_inputs([tmp_path / "x"], channels=1) for note in scan.notes]
    assert note.startswith(f"{tmp_path / 'x' / 'd.nrrd'} and 1 more were left out")
    # Also where the scan with the note was named before.
    words = [tmp_path / "x" / "c2.nii.gz", tmp_path / "x" / "c10.nii.gz", tmp_path / "x"]
    scans = read_inputs(words, channels=1)
    assert [scan.name for scan in scans] == ["c2", "c10"]
    assert [text for scan in scans for text in scan.notes] == [note]


def test_a_word_that_is_there_twice_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.nii", "x/b.nii", "x/c.nii", "y/d_0000.nii", "y/d_0001.nii")
    monkeypatch.chdir(tmp_path)

    def notes(words: str, channels: int = 1) -> list[tuple[str, str]]:
        return [(scan.name, note) for scan in read_inputs(words.split(), channels=channels) for note in scan.notes]

    assert notes("a.nii x/b.nii") == notes("x/b.nii x") == []
    assert notes("a.nii ./a.nii") == [("a", "./a.nii named more than once: each scan is segmented once")]
    assert notes("a.nii x x x") == [("a", "x, and 1 more words, named more than once: each scan is segmented once")]
    # Two words name the two channels of one scan.
    assert notes("y/d_0000.nii y/d_0001.nii", 2) == []
    assert notes("y/d_0000.nii y/d_0001.nii y/d_0000.nii", 2) == [
        ("d", "y/d_0000.nii named more than once: each scan is segmented once")
    ]


def test_links_to_one_file_are_scans_by_their_names(tmp_path: Path) -> None:
    put(tmp_path, "store/4f2a.nii")
    (tmp_path / "other").mkdir()
    for name in ("a.nii", "b.nii", "other/a.nii"):
        (tmp_path / name).symlink_to(tmp_path / "store" / "4f2a.nii")
    words = [tmp_path / name for name in ("a.nii", "b.nii", "other/a.nii")]
    assert shown(read_inputs(words, channels=1), tmp_path) == ["a=a.nii", "b=b.nii"]
    (tmp_path / "store" / "4f2a.nii").unlink()
    for scan in read_inputs(words, channels=1):
        assert scan.problem is not None
        assert scan.problem.found == "a link to a file that is not there"


def test_a_datalist_starts_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "in/b.nii", "in/t1.nii", "in/t2.nii", "elsewhere/c.nii")
    items = ["b.nii", {"image": ["t1.nii", "t2.nii"]}, "absent.nii", str(tmp_path / "elsewhere/c.nii")]
    (tmp_path / "in" / "list.json").write_text(json.dumps({"test": items}))
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"c.nii: found an absolute path to .*What to do: .*--outside"):
        read_inputs(["../in/list.json", "c.nii"], channels=1)
    scans = read_inputs(["../in/list.json", "c.nii"], channels=1, outside=True)
    assert shown(scans, tmp_path) == [
        *("b=in/b.nii", "t1=in/t1.nii,in/t2.nii", "absent.nii=in/absent.nii!", "c=elsewhere/c.nii"),
    ]
    # A relative path is LightSkip's own way to name other folders.
    (tmp_path / "in" / "list.json").write_text(json.dumps({"test": ["../elsewhere/c.nii"]}))
    assert shown(read_inputs(["../in/list.json"], channels=1), tmp_path) == ["c=elsewhere/c.nii"]


def test_a_datalist_may_name_the_folder_of_its_paths(tmp_path: Path) -> None:
    put(tmp_path, "mine/imagesTs/a.nii", "mine/imagesTs/b.nii")
    scans = {"folder": "mine", "test": ["./imagesTs/a.nii", {"image": "./imagesTs/b.nii"}]}
    (tmp_path / "list.json").write_text(json.dumps(scans))
    assert shown(read_inputs([tmp_path / "list.json"], channels=1), tmp_path) == [
        *("a=mine/imagesTs/a.nii", "b=mine/imagesTs/b.nii"),
    ]


# Files there are, words, and words of the error.
REFUSED: dict[str, tuple[str, list[str], str]] = {
    "nothing": ("", [], "INPUT: found no scan to segment"),
    "an empty word": ("a.nii", ["a.nii", ""], "an empty word"),
    "an empty folder": ("empty/.", ["empty"], "an empty folder"),
    "a folder without scans": ("x/notes.txt", ["x"], "no scan; the folder contains notes.txt"),
    "an empty datalist": ("list.json=[]", ["list.json"], "no scan named"),
    "broken JSON": ("list.json=[", ["list.json"], "invalid JSON at line 1"),
    "a part that is no list": ('list.json={"test":5}', ["list.json"], "no scan named"),
    "a part that is text": ('list.json={"test":"a.nii"}', ["list.json"], "no scan named"),
    "an item without a file": ('list.json=[{"label":"a"}]', ["list.json"], "item 0 without a file"),
    "one name in one folder": ("a.nii a.nrrd", ["a.nii", "a.nrrd"], "the same name as "),
    "names that folders do not tell apart": (
        "a_b/x.nii a/b_x.nii y/x.nii y/b_x.nii",
        ["y", "a_b", "a"],
        "the same name as ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_concerns_the_whole_list_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    files, words, message = REFUSED[name]
    for file in files.split():
        path, _, content = file.partition("=")
        if path.endswith("/."):
            (tmp_path / path).mkdir(parents=True)
        else:
            put(tmp_path, path)
            (tmp_path / path).write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        read_inputs(words, channels=1)
    assert "\n" not in str(raised.value)


# --- what reading the files tells -------------------------------------------------------------------------------------


def voxels(shape: tuple[int, ...] = (6, 7, 8), dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def nifti(array: np.ndarray, affine: np.ndarray = AFFINE) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        nib.Nifti1Image(array, affine).to_filename(path)

    return write


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def with_value(value: float) -> np.ndarray:
    array = voxels()
    array[1, 2, 3] = value
    return array


def truncated(path: Path) -> None:
    nifti(voxels())(path)
    path.write_bytes(path.read_bytes()[:-30])


def no_spacing(path: Path) -> None:
    image = nib.Nifti1Image(voxels(), AFFINE)
    header = nib.Nifti1Header(image.to_bytes()[:348], check=False)
    header["pixdim"][2] = 0
    path.write_bytes(gzip.compress(header.binaryblock + image.to_bytes()[348:]))


def in_metres(path: Path) -> None:
    image = nib.Nifti1Image(voxels(), AFFINE)
    image.header.set_xyzt_units("meter")
    image.to_filename(path)


def colour(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(voxels((8, 7, 6, 3), np.uint8), isVector=True), str(path))


def analyze(path: Path) -> None:
    nib.AnalyzeImage(voxels(dtype=np.int16), None).to_filename(path)


def series(slices: list[dict[str, str]]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir()
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        for number, tags in enumerate(slices):
            image = sitk.GetImageFromArray(voxels((7, 6), np.int16))
            usual = {"0020|000d": "1.2", "0020|000e": "1.2.1", "0020|0037": "1\\0\\0\\0\\1\\0"}
            # Without a modality SimpleITK writes a secondary capture, which has no spacing.
            usual["0008|0060"] = "CT"
            for tag, value in {**usual, **tags}.items():
                image.SetMetaData(tag, value)
            writer.SetFileName(str(folder / f"{number}.dcm"))
            writer.Execute(image)

    return write


def at(place: float, **tags: str) -> dict[str, str]:
    return {"0020|0032": f"0\\0\\{place:g}"} | {
        {"series": "0020|000e", "axes": "0020|0037"}[key]: value for key, value in tags.items()
    }


def cut_series(folder: Path) -> None:
    series([at(place) for place in (0, 2, 4)])(folder)
    file = folder / "1.dcm"
    file.write_bytes(file.read_bytes()[:-40])


FINE = ["smaller than a window", "one voxel thick", "4D with one volume"]
# The file's name, how it is made, channels of the network, and words of what is found, expected and to do.
FILES: dict[str, tuple[str, Callable[[Path], None], int, str, str, str]] = {
    "no image": ("a.nii.gz", content(gzip.compress(b"text " * 200)), 1, "no NIfTI header", "an image", "copy"),
    "text": ("a.nii.gz", content(b"text " * 200), 1, "not gzip-compressed", "an image", "rename"),
    "no NRRD": ("a.nrrd", content(b"text " * 200), 1, "or no image", "an image", "copy or download"),
    "truncated": ("a.nii.gz", truncated, 1, "truncated", "read to its end", "copy or download"),
    "0 bytes": ("a.nii.gz", content(b""), 1, "empty file (0 bytes)", "an image", "copy or download"),
    "LFS": ("a.nii.gz", content(b"version https://git-lfs.github.com/spec/v1\n"), 1, "LFS pointer", "", "git lfs pull"),
    "4D": ("a.nii.gz", nifti(voxels((6, 7, 8, 2))), 1, "4 axes, shape (6, 7, 8, 2)", "one volume (x, y, z)", "split"),
    "2D": ("a.nii.gz", nifti(voxels((6, 7))), 1, "2 axes, shape (6, 7)", "one volume (x, y, z)", ""),
    "3 channels": ("a.nii.gz", nifti(voxels((6, 7, 8, 3))), 2, "(6, 7, 8, 3)", "with 2 channels", ""),
    "1 channel": ("a.nii.gz", nifti(voxels()), 2, "3 axes", "with 2 channels", ""),
    "NaN": ("a.nii.gz", nifti(with_value(np.nan)), 1, "1 of 336 voxels NaN", "a finite number", "replace"),
    "Inf": ("a.nii.gz", nifti(with_value(np.inf)), 1, "1 of 336 voxels infinite", "a finite number", "replace"),
    "constant": ("a.nii.gz", nifti(voxels() * 0 + 3), 1, "the same value, 3", "contrast", "export"),
    "spacing 0": ("a.nii.gz", no_spacing, 1, "a spacing of 1 x 0 x 2 mm", "above 0 mm", "correct"),
    "0.001 mm": ("a.nii.gz", nifti(voxels(), np.diag([0.001] * 3 + [1])), 1, "0.001 x", "0.01 to 100 mm", "correct"),
    "1 m": ("a.nii.gz", nifti(voxels(), np.diag([1000.0] * 3 + [1])), 1, "1000 x", "0.01 to 100 mm", "correct"),
    "metres": ("a.nii.gz", in_metres, 1, "a spacing in metres", "mm", "convert"),
    "RGB": (
        "a.nii.gz",
        nifti(np.zeros((6, 7, 8), "u1,u1,u1").astype([(c, "u1") for c in "RGB"])),
        1,
        "RGB",
        "real",
        "",
    ),
    "colour": ("a.mha", colour, 1, "3 numbers per voxel", "one number per voxel", "one file per channel"),
    "picture": ("a.png", lambda path: Image.fromarray(voxels((9, 8), np.uint8)).save(path), 1, "2 axes", "volume", ""),
    "complex": ("a.nii.gz", nifti(voxels(dtype=np.complex64)), 1, "complex voxels", "one real number", "convert"),
    "Analyze": ("a.hdr", analyze, 1, "an Analyze 7.5 file", "a NIfTI file", "orientation"),
    "half a pair": ("a.img", content(b"voxels"), 1, "without their header: no a.hdr", "an image", "copy"),
    "missing slice": (
        "ct",
        series([at(z) for z in (0, 2, 6, 8)]),
        1,
        "slices are 2 to 4 mm apart",
        "equal distances",
        "",
    ),
    "two series": (
        "ct",
        series([at(0), at(2), at(0, series="1.2.2")]),
        1,
        "2 DICOM series",
        "one series",
        "choose one",
    ),
    "localizer": ("ct", series([at(0), at(2), at(4, axes="1\\0\\0\\0\\0\\-1")]), 1, "orientation", "one kind", "move"),
    "one slice": ("ct", series([at(0)]), 1, "one DICOM slice", "a series", "copy"),
    "truncated slice": ("ct", cut_series, 1, "files that are truncated", "every file can be read", "copy"),
    "pipe": ("a.nii.gz", os.mkfifo, 1, "a pipe or a device", "an image", ""),
    "device": ("a.nii", lambda path: path.symlink_to(os.devnull), 1, "a pipe or a device", "an image", ""),
    "broken link": (
        "a.nii.gz",
        lambda path: path.symlink_to("gone.nii.gz"),
        1,
        "a link to a file that is not there",
        "an image",
        "copy",
    ),
    "folder": (
        "a.nii.gz",
        lambda path: (path / "notes").mkdir(parents=True),
        1,
        "a folder named like a file",
        "an image",
        "",
    ),
    "smaller than a window": ("a.nii.gz", nifti(voxels((2, 3, 2))), 1, "", "", ""),
    "one voxel thick": ("a.nii.gz", nifti(voxels((6, 7, 1))), 1, "", "", ""),
    "4D with one volume": ("a.nii.gz", nifti(voxels((6, 7, 8, 1))), 1, "", "", ""),
}


@pytest.mark.parametrize("name", FILES)
def test_the_check_of_scans_tells_what_is_wrong(tmp_path: Path, name: str) -> None:
    file, make, channels, found, expected, remedy = FILES[name]
    make(tmp_path / file)
    scans = [{"image": str(tmp_path / file)}]
    if name in FINE:
        check_scans(scans, channels=channels, progress=False)
        return
    with pytest.raises(InputError) as raised:
        check_scans(scans, channels=channels, progress=False)
    error = raised.value
    assert str(error.where).startswith(str(tmp_path / file))
    assert found in error.found
    assert found
    assert expected in error.expected
    assert remedy in error.remedy
    assert "\n" not in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(tmp_path: Path) -> None:
    nifti(voxels())(tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").chmod(0)
    with pytest.raises(InputError, match=r"a file that cannot be read \(Permission denied\)"):
        check_scans([{"image": str(tmp_path / "a.nii.gz")}], progress=False)


def test_a_folder_that_may_not_be_listed_is_one_scan_s_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "locked/a.nii", "b.nii")
    listed = Path.iterdir

    def iterdir(folder: Path) -> Any:
        # As root, which tests often are, everything may be listed.
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    locked, other = read_inputs([tmp_path / "locked", tmp_path / "b.nii"], channels=1)
    assert (other.name, other.problem) == ("b", None)
    assert locked.problem is not None
    assert "Permission denied" in locked.problem.found


def test_what_a_word_that_is_not_there_may_have_meant(tmp_path: Path) -> None:
    (tmp_path / "hippocampus_001.nii.gz").touch()
    mistyped, pattern = read_inputs([tmp_path / "hipocampus_001.nii.gz", tmp_path / "*.nii.gz"], channels=1)
    assert mistyped.problem is not None
    assert mistyped.problem.remedy == f"did you mean {tmp_path / 'hippocampus_001.nii.gz'}?"
    assert pattern.problem is not None
    assert "leave the quotes out" in pattern.problem.remedy
