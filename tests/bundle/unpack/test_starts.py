import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from pipeline.bundle.unpack.starts import describe_pickle, inner_names, is_zip, starts_pickle


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [os.getcwd, Path("a"), {1: os.getcwd}])
def test_a_pickle_that_names_something_is_known(value: object, protocol: int) -> None:
    assert starts_pickle(pickle.dumps(value, protocol=protocol))


@pytest.mark.parametrize(
    "text", [b"", b"# a", b"import os\nx = 1\n", b"cats\ndogs\nand more", b"{}", b".", b"\x80", b"\x80abc"]
)
def test_what_is_no_pickle(text: bytes) -> None:
    assert not starts_pickle(text)


def test_a_zip_is_one_from_its_first_byte(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as opened:
        opened.writestr("x", "y")
    (tmp_path / "b").write_bytes(b"before" + (tmp_path / "a").read_bytes())
    assert zipfile.is_zipfile(tmp_path / "b")
    assert (is_zip(tmp_path / "a"), inner_names(tmp_path / "a")) == (True, ["x"])
    assert (is_zip(tmp_path / "b"), inner_names(tmp_path / "b")) == (False, [])


def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as stream:
        stream.write(b"\x93NUMPY\x02\x00" + (200_000_000).to_bytes(4, "little") + b"{")
        stream.truncate(200_000_100)
    tracemalloc.start()
    assert "could not be examined" in str(describe_pickle(tmp_path / "a.npy"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
