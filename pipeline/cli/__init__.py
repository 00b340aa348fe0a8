"""The command line: one short function per verb, which calls the module that does the work.

Verbs import that module when they run: `lightskip --help` must not wait for PyTorch.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from ..version import __version__
from .bundle_verbs import add_bundle_verbs
from .bundles_verb import add_bundles_verb
from .cohort_verb import add_cohort_verb
from .compare_verbs import add_compare_verbs
from .dataset_verbs import add_dataset_verbs
from .export_verbs import add_export_verbs
from .fit_verbs import add_fit_verbs
from .out_of_memory import run_within_memory
from .picture_verbs import add_picture_verbs
from .predict_verbs import add_predict_verbs
from .probe_verbs import add_probe_verbs
from .report_verbs import add_report_verbs
from .share_verbs import add_share_verbs
from .study_verb import add_study_verb

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: the words after ``lightskip``; by default those of the process.

    Returns:
        The exit status: 0; 1 if a check found differences; 2 for a user error; 130 if interrupted; 141 if the reader of
        the output has closed it.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    # Called with words, this is a part of another program, whose settings are left alone.
    options.owns_process = arguments is None
    options.given = list(sys.argv[1:] if arguments is None else arguments)
    if options.verb is None:
        parser.print_help(sys.stderr)
        return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        status = run_within_memory(options)
        # It is None if the shell has closed it (>&-).
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # As in `lightskip check … --json | head`. Without this Python complains again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # An error without a file name is not about a file of the user's.
        if error.filename is None:
            raise
        print(
            f"error: {error.filename}: found {str(error.strerror).lower()}; expected a file or folder to read or "
            "write. What to do: name another one, or check its permissions and the free space on its disk.",
            file=sys.stderr,
        )
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        print("error: drawing needs matplotlib; install it with: pip install 'lightskip[report]'", file=sys.stderr)
        return 2
    except (ValueError, RuntimeError) as error:
        # Imported only now: its package imports NumPy.
        from ..data.errors import input_error_behind  # noqa: PLC0415

        # MONAI wraps errors in a config in RuntimeErrors.
        explained = input_error_behind(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lightskip",
        description="Volumetric segmentation with light skip connections, as MONAI bundles.",
        epilog="The usual order: datalist, check, plan, train, evaluate, predict; fit does all but the last. Bundles "
        "also run with MONAI's own runner: python -m monai.bundle run",
    )
    parser.add_argument("--version", action="version", version=f"lightskip {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    add_fit_verbs(verbs)
    add_dataset_verbs(verbs)
    add_bundle_verbs(verbs)
    add_predict_verbs(verbs)
    add_cohort_verb(verbs)
    add_compare_verbs(verbs)
    add_probe_verbs(verbs)
    add_study_verb(verbs)
    add_picture_verbs(verbs)
    add_report_verbs(verbs)
    add_export_verbs(verbs)
    add_share_verbs(verbs)
    add_bundles_verb(verbs)
    return parser
