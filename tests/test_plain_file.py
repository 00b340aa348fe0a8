"""Files that are no pipes."""

import os
import threading
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.json_file import read_json
from pipeline.data.layouts.table import read_table
from pipeline.data.yaml_file import read_yaml
from pipeline.plain_file import open_plain


@pytest.mark.parametrize("read", [read_json, read_yaml, read_table])
def test_a_pipe_without_a_writer_is_refused_at_once(tmp_path: Path, read) -> None:
    os.mkfifo(tmp_path / "a")
    (tmp_path / "link").symlink_to("a")
    for name in ("a", "link"):
        with pytest.raises(InputError, match=f"{name}: found no readable file \\(a pipe, which may never end"):
            read(tmp_path / name)


def test_what_a_shell_pipes_in_is_read() -> None:
    reader, writer = os.pipe()
    feed = threading.Thread(target=lambda: (os.write(writer, b"{}"), os.close(writer)))
    feed.start()
    with open_plain(f"/dev/fd/{reader}") as stream:
        assert stream.read() == b"{}"
    feed.join()
    os.close(reader)
