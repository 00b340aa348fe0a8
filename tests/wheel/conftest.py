"""A wheel that is built from the source distribution, and installed where no checkout can be imported."""

import os
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Build = Callable[..., Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run_python(code: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def build() -> Build:
    """Build one kind of distribution of a source folder, in an isolated process: sdist, wheel or editable."""

    def make(kind: str, source: Path, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        run_python(f"import hatchling.build as b; b.build_{kind}({str(folder)!r})", source)
        [made] = folder.iterdir()
        return made

    return make


@pytest.fixture(scope="session")
def sdist(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture
def unpack(sdist: Path) -> Callable[[Path], Path]:
    """Unpack the source distribution into a folder, and return that of the sources."""

    def extract(folder: Path) -> Path:
        return unpack_into(sdist, folder)

    return extract


def unpack_into(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as opened:
        opened.extractall(folder, filter="data")
    [source] = folder.iterdir()
    return source


@pytest.fixture(scope="session")
def wheel(build: Build, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", unpack_into(sdist, tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel. The packages that it needs are those of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run(pip, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # As a plain line: the editable installation there is a .pth file, which Python does not read from this folder.
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    [own] = (folder / "lib").glob("python*/site-packages")
    (own / "heavy_packages.pth").write_text("".join(f"{path}\n" for path in packages))
    return folder


@pytest.fixture(scope="session")
def run(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program of the environment, without anything that would lead to the checkout."""
    home = tmp_path_factory.mktemp("home")
    left_out = ("PYTHONPATH", "PYTHONHOME", "LIGHTSKIP_CACHE", "LIGHTSKIP_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME")
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    environment = {**kept, "HOME": str(home), "OMP_NUM_THREADS": "1"}

    def start(*words: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
        command = [str(installed / "bin" / str(words[0])), *map(str, words[1:])]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    return start
