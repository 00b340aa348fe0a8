from pathlib import Path

import pytest

_REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The developers' folder of real scans, which lies beside the repository and is never part of it."""
    if not _REAL_DATA.is_dir():
        pytest.skip("no real scans: the folder ../shared/data beside the repository is absent")
    return _REAL_DATA
