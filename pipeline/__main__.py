"""Run the command ``lightskip``, also as ``python -m pipeline``. Ctrl-C ends it quietly from its first import on.

Its work goes on when nobody reads what it prints.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main(*, is_inner: bool = False) -> int:
    """Run the verb that the process's words name.

    Args:
        is_inner: whether another verb runs this one, and says itself that it was interrupted.

    Returns:
        The exit status: that of `pipeline.cli.main`, or 130 if it was interrupted, even while modules are imported.
    """
    if sys.stderr is None:
        # It was closed by the shell (2>&-). Messages would go to the standard output, among what programs read there.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the process ends
    try:
        # Imported only here: an interrupt of an import at the top of this module could not be caught.
        from .streams import guard_streams  # noqa: PLC0415
        from .working_folder import leave_removed, remember_folder  # noqa: PLC0415

        guard_streams()
        remember_folder()
        from .cli import main as run  # noqa: PLC0415

        try:
            return run(is_inner=is_inner)
        finally:
            leave_removed()
    except KeyboardInterrupt:
        # print() is not used: the interrupt may have come in the middle of a line.
        sys.stderr.write("" if is_inner else "interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
