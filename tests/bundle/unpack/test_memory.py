import resource
import sys

import pytest

from pipeline.bundle.unpack.memory import limit_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process in effect")


def test_what_is_large_does_not_fit_and_the_limit_goes_with_the_block() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), limit_memory(1000):
        bytearray(2 * 10**9)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(10**6)) == 10**6


def test_three_times_the_file_fits() -> None:
    with limit_memory(200_000_000):
        assert len(bytearray(590_000_000)) == 590_000_000
