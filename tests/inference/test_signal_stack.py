import ctypes
import sys

import pytest

from pipeline.inference.signal_stack import keep_signal_stack, read_signal_stack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stack for signals of Linux")


class Stack(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def test_what_a_library_sets_is_put_back():
    before = read_signal_stack()
    room = ctypes.create_string_buffer(65536)
    with keep_signal_stack():
        other = Stack(ctypes.addressof(room), 0, len(room))
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(other), None) == 0
        assert read_signal_stack() == (ctypes.addressof(room), 0, len(room))
    assert read_signal_stack() == before
