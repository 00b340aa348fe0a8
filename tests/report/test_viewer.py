import base64
import hashlib
import io
import stat
import sys
import tarfile

import pytest

from pipeline.data.errors import InputError
from pipeline.report import viewer
from pipeline.report.viewer import INTEGRITY, SHA256, fetch_viewer, find_viewer, unpack_viewer

CODE = b"var niivue = 1;\n"


@pytest.fixture
def package(monkeypatch):
    """A package like npm's, whose hashes are the expected ones."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/dist/niivue.umd.js")
        member.size = len(CODE)
        archive.addfile(member, io.BytesIO(CODE))
    content = stream.getvalue()
    monkeypatch.setattr(viewer, "INTEGRITY", f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}")
    return content


def test_the_hashes_have_the_lengths_of_their_kinds():
    assert len(base64.b64decode(INTEGRITY.removeprefix("sha512-"))) == 64
    assert len(bytes.fromhex(SHA256)) == 32


def test_one_file_of_the_package_is_kept(tmp_path, package):
    file = unpack_viewer(package, tmp_path / "new")
    assert file.read_bytes() == CODE
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_a_package_with_another_hash_is_refused(tmp_path, package):
    with pytest.raises(InputError, match="found a package with the hash sha512-"):
        unpack_viewer(package + b" ", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_changed_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "html" / "vendor").mkdir(parents=True)
    (tmp_path / "html" / "niivue_licence.txt").write_text("licence")
    file = tmp_path / "html" / "vendor" / "niivue.umd.js"
    monkeypatch.setattr(viewer, "files", lambda _: tmp_path)
    assert find_viewer() is None
    file.write_bytes(CODE)
    assert find_viewer() is None
    monkeypatch.setattr(viewer, "SHA256", hashlib.sha256(CODE).hexdigest())
    assert find_viewer().script.encode() == CODE
    assert find_viewer().licence == "licence"


def make_npm(folder, monkeypatch, program):
    """Put a program named npm first on the path."""
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(f"#!{sys.executable}\nimport sys\n{program}")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


def test_the_package_is_packed_by_npm_with_its_version(tmp_path, monkeypatch, package):
    (tmp_path / "given.tgz").write_bytes(package)
    words = tmp_path / "words"
    program = f"""
open({str(words)!r}, "w").write(" ".join(sys.argv[1:]))
place = sys.argv[sys.argv.index("--pack-destination") + 1]
open(place + "/niivue-niivue-0.69.0.tgz", "wb").write(open({str(tmp_path / "given.tgz")!r}, "rb").read())
"""
    make_npm(tmp_path / "bin", monkeypatch, program)
    assert fetch_viewer(tmp_path / "here").read_bytes() == CODE
    assert words.read_text().startswith("pack --silent")
    assert words.read_text().endswith("@niivue/niivue@0.69.0")


def test_npm_that_fails_or_is_absent_is_named(tmp_path, monkeypatch):
    make_npm(tmp_path / "bin", monkeypatch, "sys.stderr.write('no network'); sys.exit(1)")
    with pytest.raises(InputError, match="no network"):
        fetch_viewer(tmp_path / "here")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"install Node\.js, then run make viewer"):
        fetch_viewer(tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_make_goes_on_without_the_viewer(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(viewer, "find_viewer", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert viewer.main() == 1
    assert capsys.readouterr().err.startswith("note: reports will have no 3D viewer: npm: found no such program")
