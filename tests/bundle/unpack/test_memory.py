"""The limit is a whole process's, threads of other tests included: so each test has a process of its own."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process in effect")

START = """
import resource
from pipeline.bundle.unpack.memory import limit_memory
before = resource.getrlimit(resource.RLIMIT_AS)
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", START + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_large_does_not_fit_and_the_limit_goes_with_the_block() -> None:
    program = """
try:
    with limit_memory(1000):
        bytearray(2 * 10**9)
except MemoryError:
    print("no memory", resource.getrlimit(resource.RLIMIT_AS) == before, len(bytearray(10**6)))
"""
    assert run(program) == "no memory True 1000000"


def test_three_times_the_file_fits() -> None:
    assert run("with limit_memory(200_000_000):\n    print(len(bytearray(590_000_000)))") == "590000000"
