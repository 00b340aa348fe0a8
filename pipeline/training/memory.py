"""Keep the memory that a training step frees for the next step."""

from __future__ import annotations

from ..memory import set_malloc

__all__ = ["keep_memory"]

# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
# The largest unsigned number: never.
_NEVER = -1


def keep_memory() -> bool:
    """Make this process keep the memory that it frees, instead of returning it to the system at once.

    PyTorch's CPU tensors come from malloc. glibc takes large blocks from the system with ``mmap`` and returns them when
    they are freed. Every feature map of every training step then begins with new pages, which the system clears one by
    one as they are written (``docs/speed.md`` has the cost). A training asks for the same sizes in each step. With this
    setting they come from the heap and stay there. The process's memory then stays at its peak.

    Returns:
        True if the system's malloc is glibc's and accepted the settings. With another malloc nothing is done.
    """
    return set_malloc({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _NEVER})
