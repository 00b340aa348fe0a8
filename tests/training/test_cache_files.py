import errno
import logging
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pipeline.training import cache_files
from pipeline.training.cache_files import CacheFiles

DAY = 24 * 60 * 60


@pytest.fixture
def case(tmp_path):
    for name in ("image.nii.gz", "label.nii.gz"):
        (tmp_path / name).write_bytes(b"scan")
    return {"image": str(tmp_path / "image.nii.gz"), "label": str(tmp_path / "label.nii.gz"), "site": "A"}


@pytest.fixture
def files(tmp_path):
    return CacheFiles(tmp_path / "cache", "Spacingd\n")


def set_time(path, nanoseconds):
    os.utime(path, ns=(nanoseconds, nanoseconds))


def kept(files, case):
    return files.read(*files.key(case))[0]


ITEM = {
    "image": torch.arange(6, dtype=torch.float32).reshape(1, 2, 3),
    "indices": [torch.arange(3), torch.zeros(0, dtype=torch.int64)],
    "meta": {"spacing": np.array([1.0, 2.0]), "code": np.int16(3), "name": "a", "pair": (1, None), "yes": True},
}


def test_what_is_written_is_read_with_its_types(files, case):
    entry = files.key(case)
    assert files.read(*entry) == (False, None)
    files.write(*entry, ITEM)
    found, item = files.read(*entry)
    assert found
    assert torch.equal(item["image"], ITEM["image"])
    assert item["image"].dtype == torch.float32
    assert [part.tolist() for part in item["indices"]] == [[0, 1, 2], []]
    meta = item["meta"]
    assert meta["spacing"].tolist() == [1.0, 2.0]
    assert (type(meta["spacing"]), type(meta["code"]), type(meta["pair"])) == (np.ndarray, np.int16, tuple)
    assert {**meta, "spacing": 0} == {**ITEM["meta"], "spacing": 0}


def test_metadata_of_tensors_are_kept(files, case):
    tensor = MetaTensor(torch.ones(1, 2, 2), affine=2 * torch.eye(4), meta={"pixdim": np.ones(8, dtype=np.float32)})
    files.write(*files.key(case), {"image": tensor})
    _, item = files.read(*files.key(case))
    assert isinstance(item["image"], MetaTensor)
    assert torch.equal(item["image"].affine, 2 * torch.eye(4, dtype=torch.float64))
    assert item["image"].meta["pixdim"].dtype == np.float32


def test_every_change_of_a_case_is_noticed_and_takes_the_same_file(files, case):
    scan = Path(case["image"])
    set_time(scan, 10**18)
    files.write(*files.key(case), ITEM)
    assert kept(files, case)
    set_time(scan, 10**18 + 1)  # other content of the same size, a nanosecond later
    assert not kept(files, case)
    files.write(*files.key(case), ITEM)
    assert kept(files, case)
    scan.write_bytes(b"a longer scan")
    set_time(scan, 10**18 + 1)
    assert not kept(files, case)
    files.write(*files.key(case), ITEM)
    assert len(list(files.folder.glob("*.case"))) == 1


def test_other_cases_have_other_files(files, case, tmp_path):
    others = [
        case,
        {**case, "site": "B"},
        {**case, "image": case["label"]},
        {**case, "image": [case["image"], case["label"]]},
        {**case, "image": np.zeros(3)},
        {**case, "image": np.ones(3)},
    ]
    assert len({files.key(other)[0] for other in others}) == len(others)
    assert files.key(dict(case)) == files.key(case)


def test_a_relative_path_means_another_file_in_another_folder(files, tmp_path, monkeypatch):
    entries = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scan.nii").write_bytes(b"scan")
        monkeypatch.chdir(tmp_path / name)
        entries.append(files.key({"image": "scan.nii"}))
    assert entries[0][0] != entries[1][0]


def test_a_folder_counts_by_its_files(files, tmp_path):
    series = tmp_path / "series"
    series.mkdir()
    for number in range(3):
        (series / f"{number}.dcm").write_bytes(b"slice")
    files.write(*files.key({"image": series}), ITEM)
    assert kept(files, {"image": series})
    set_time(series / "1.dcm", 10**18)
    assert not kept(files, {"image": series})
    files.write(*files.key({"image": series}), ITEM)
    (series / "3.dcm").write_bytes(b"slice")
    assert not kept(files, {"image": series})


def test_the_data_beside_a_header_count(files, tmp_path):
    header, voxels, other = tmp_path / "a.b.mhd", tmp_path / "a.b.raw", tmp_path / "c.raw"
    for path in (header, voxels, other):
        path.write_bytes(b"x")
    files.write(*files.key({"image": str(header)}), ITEM)
    set_time(other, 10**18)
    assert kept(files, {"image": str(header)})
    set_time(voxels, 10**18)
    assert not kept(files, {"image": str(header)})


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "other content", "not a file of PyTorch"])
def test_a_damaged_file_is_no_file(files, case, caplog, damage):
    path, facts = files.key(case)
    files.write(path, facts, ITEM)
    content = bytearray(path.read_bytes())
    voxels = content.find(ITEM["image"].numpy().tobytes())
    assert voxels > 0
    content[voxels + 6] ^= 1
    if damage == "other content":
        torch.save([1, 2], path)
    else:
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "flipped": bytes(content)}.get(damage, b"no"))
    assert files.read(path, facts) == (False, None)
    assert str(path) in caplog.text
    files.write(path, facts, ITEM)
    assert files.read(path, facts)[0]


def test_writers_at_the_same_time_leave_a_whole_file(files, case, caplog):
    entry = files.key(case)

    def write(number):
        files.write(*entry, {"image": torch.full((50_000,), number)})
        found, item = files.read(*entry)
        return found and len(item["image"].unique()) == 1

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(write, range(24)))
    assert [path.name for path in files.folder.glob("*.case")] == [entry[0].name], "nothing temporary is left"
    assert not caplog.text


def test_a_full_disk_is_told_once_and_hurts_nothing(files, case, caplog, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    files.write(*files.key(case), ITEM)
    monkeypatch.setattr(cache_files, "write_case_file", full)
    for name in ("B", "C"):
        files.write(*files.key({**case, "site": name}), ITEM)
    assert caplog.text.count("No space left") == 1
    assert kept(files, case), "what is there is still read"


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path, case, caplog):
    (tmp_path / "file").write_text("no folder")
    files = CacheFiles(tmp_path / "file" / "cache", "Spacingd\n")
    files.write(*files.key(case), ITEM)
    assert not kept(files, case)
    assert caplog.text.count("writing no more prepared cases") == 1


def test_what_cannot_be_loaded_again_is_not_kept(files, case, caplog):
    files.write(*files.key(case), {"image": Path("a")})
    assert not kept(files, case)
    assert not list(files.folder.glob("*.case"))
    assert "writing no more prepared cases" in caplog.text


def test_a_case_with_hidden_state_is_not_kept(files, case, caplog):
    assert files.key({**case, "function": iter([]), "generator": (x for x in [])}) is None
    assert files.key({**case, "generator": (x for x in [])}) is None
    assert caplog.text.count("cannot cache a case on disk") == 1


def test_only_what_nobody_opened_for_long_is_removed(tmp_path, case, caplog):
    caplog.set_level(logging.INFO)
    root = tmp_path / "cache"
    old, recent, mine = (CacheFiles(root, f"{name}\n") for name in ("old", "recent", "mine"))
    for files in (old, recent, mine):
        files.write(*files.key(case), ITEM)
    alien = root / ("a" * 32) / "thesis.pt"
    alien.parent.mkdir()
    shutil.copy(old.key(case)[0], alien)
    (old.folder / "notes.md").write_text("not ours")
    (mine.folder / ".killed.case").write_text("half")
    (mine.folder / ".running.case").write_text("half")
    now = time.time()
    for path, days in ((old.folder, 31), (recent.folder, 29), (mine.folder, 31)):
        os.utime(path / "transforms.txt", (now - days * DAY,) * 2)
    for path in (alien, mine.key(case)[0], mine.folder / ".killed.case"):
        os.utime(path, (now - 99 * DAY,) * 2)
    CacheFiles(root, "mine\n")
    assert [path.name for path in old.folder.iterdir()] == ["notes.md"]
    assert kept(recent, case)
    assert kept(mine, case), "opening counts as use"
    assert alien.exists()
    assert not (mine.folder / ".killed.case").exists()
    assert (mine.folder / ".running.case").exists()
    assert str(old.folder) in caplog.text
    old.write(*old.key(case), ITEM)
    assert kept(old, case), "a training that still uses it makes it anew"


def test_the_folder_says_what_it_is_of(files):
    assert (files.folder / "transforms.txt").read_text() == "Spacingd\n"
