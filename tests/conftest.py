import locale
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background lets them ignore Ctrl-C, and with them every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The developers' folder of real scans, which lies beside the repository and is never part of it."""
    if not _REAL_DATA.is_dir():
        pytest.skip("no real scans: the folder ../shared/data beside the repository is absent")
    return _REAL_DATA


@pytest.fixture(autouse=True)
def same_locale() -> Iterator[None]:
    """SimpleITK sets the process's locale to C when it writes DICOM; tests after that would read text as ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    if locale.setlocale(locale.LC_ALL) != before:
        locale.setlocale(locale.LC_ALL, before)
