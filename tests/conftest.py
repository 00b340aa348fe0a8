import gc
import json
import locale
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background lets them ignore Ctrl-C, and with them every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests are imported and collected without garbage collection: nothing of that is garbage, and looking takes seconds.
gc.disable()

# Files and folders whose tests take long. They come first, so that no process has much left when the others are done.
_LONG = (
    "tests/bundles/",
    "tests/training/test_",
    "tests/prediction/test_",
    "tests/networks/test_networks",
    "tests/evaluation/test_case_report",
)
# The developers' folder of real scans and schemas. It is never part of the repository.
_SHARED = Path(os.environ.get("LIGHTSKIP_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take long first."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


def pytest_collection_finish() -> None:
    """Collect garbage again, but only of what the tests themselves make."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real scans; skip the test where there is none."""
    if not (_SHARED / "data").is_dir():
        pytest.skip("no real scans: the folder ../shared/data next to the repository is absent")
    return _SHARED / "data"


@pytest.fixture(scope="session")
def metadata_schema() -> Path:
    """Return the file with MONAI's schema of metadata.json; skip the test where there is none."""
    file = _SHARED / "schema" / "meta_schema_20240725.json"
    if not file.is_file():
        pytest.skip("no copy of MONAI's schema: the folder ../shared/schema next to the repository is absent")
    return file


@pytest.fixture(scope="session", autouse=True)
def folders_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep converted networks and the list of imported bundles apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTSKIP_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LIGHTSKIP_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def same_locale() -> Iterator[None]:
    """SimpleITK sets the process's locale to C when it writes DICOM; tests after that would read text as ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    if locale.setlocale(locale.LC_ALL) != before:
        locale.setlocale(locale.LC_ALL, before)


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """What runs several processes handles signals in its own way, and leaves that behind in a test's process."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


Start = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def warm_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Function that runs Python with the given words, in a process of its own that need not import MONAI anew.

    Its result is that of ``subprocess.run`` with the text that the program printed. The program has one thread.
    """
    folder = tmp_path_factory.mktemp("warm_start")
    server: list[subprocess.Popen[str]] = []

    def start(*words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(word) for word in words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        if sys.platform != "linux":
            # Elsewhere libraries may start threads when they are imported, and forking is not safe.
            whole = [sys.executable, *command]
            return subprocess.run(whole, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        if not server:
            server.append(_start_server())
        out, err = (folder / name for name in ("out", "err"))
        for file in (out, err):
            file.write_text("")
        request = {
            "words": command,
            "cwd": str(cwd or Path.cwd()),
            "environment": environment,
            "out": str(out),
            "err": str(err),
        }
        process = server[0]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        status = process.stdout.readline()
        assert status, "the warm process has ended; what it said is above"
        return subprocess.CompletedProcess(command, int(status), out.read_text(), err.read_text())

    yield start
    for process in server:
        # Nothing of it is needed: its own end would take seconds.
        process.kill()
        process.communicate()


def _start_server() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("warm_start.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
