"""The command line: one short function per verb, which calls what does the work.

Imports of the work sit inside the verbs: `lightskip --help` must not wait for PyTorch.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from ..version import __version__
from .bundle_verbs import add_bundle_verbs
from .dataset_verbs import add_dataset_verbs
from .export_verbs import add_export_verbs
from .picture_verbs import add_picture_verbs
from .predict_verbs import add_predict_verbs
from .share_verbs import add_share_verbs

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: the words after ``lightskip``; by default the process's own.

    Returns:
        The exit status: 0, 1 when a check found differences, 2 for a mistake of the user's, 130 when interrupted, 141
        when nobody reads what is printed any more.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verb is None:
        parser.print_help(sys.stderr)
        return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # As in `lightskip check … --json | head`. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # Without a name it is no file of the user's.
        if error.filename is None:
            raise
        print(
            f"error: {error.filename}: found {str(error.strerror).lower()}; expected a file or folder that can be read "
            "or written. What to do: name another one, or see to its permissions and the room on its disk.",
            file=sys.stderr,
        )
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        print("error: drawing needs matplotlib; install it with: pip install 'lightskip[report]'", file=sys.stderr)
        return 2
    except (ValueError, RuntimeError) as error:
        # Imported only now: what lies beside it imports NumPy.
        from ..data.errors import input_error_behind  # noqa: PLC0415

        # MONAI wraps what goes wrong while a config is evaluated in RuntimeErrors.
        explained = input_error_behind(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lightskip",
        description="Volumetric segmentation with light skip connections, as MONAI bundles.",
        epilog="The way of a dataset: datalist, check, plan, train, evaluate, predict. Bundles run with "
        "MONAI's own runner too: python -m monai.bundle run",
    )
    parser.add_argument("--version", action="version", version=f"lightskip {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    add_dataset_verbs(verbs)
    add_bundle_verbs(verbs)
    add_predict_verbs(verbs)
    add_picture_verbs(verbs)
    add_export_verbs(verbs)
    add_share_verbs(verbs)
    return parser
