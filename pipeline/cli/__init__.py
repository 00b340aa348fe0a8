"""The command line: one short function per verb, which calls the module that does the work.

Verbs import that module when they run: `lightskip --help` must not wait for PyTorch.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from ..streams import find_lost_output
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
from .postprocess_verbs import add_postprocess_verbs
from .predict_verbs import add_predict_verb
from .probe_verbs import add_probe_verbs
from .report_verbs import add_report_verbs
from .share_verbs import add_share_verbs
from .study_verb import add_study_verb

__all__ = ["main"]

# What a user of `plan` looks for there, since the plan is for the training.
_OF_TRAINING = (
    "--from",
    "--frozen_epochs",
    "--loss",
    "--fold",
    "--folds",
    "--epochs",
    "--minutes",
    "--resume",
    "--longer",
)


def main(arguments: Sequence[str] | None = None, *, is_inner: bool = False) -> int:
    """Run one verb.

    Args:
        arguments: the words after ``lightskip``; by default those of the process.
        is_inner: whether another verb runs this one, and says itself that it was interrupted, and how to continue.

    Returns:
        The exit status: 0; 1 if a check found differences, or the disk is full or broken, or the output could not be
        written; 2 for a user error; 130 if interrupted; 141 if a program that sent jobs has closed the output.
    """
    parser = _parser()
    try:
        options, unknown = parser.parse_known_args(arguments)
    except SystemExit as end:
        # --help and --version print, and end the process.
        if arguments is None and not end.code and _report_lost_output():
            sys.exit(1)
        raise
    if unknown:
        parser.error(_explain_unknown(parser, options.verb, unknown))
    # Called with words, this is a part of another program, whose settings are left alone.
    options.owns_process, options.is_inner = arguments is None, is_inner
    options.given = list(sys.argv[1:] if arguments is None else arguments)
    if options.verb is None:
        parser.print_help(sys.stderr)
        return 2
    return _run(options)


def _explain_unknown(parser: argparse.ArgumentParser, verb: str | None, unknown: Sequence[str]) -> str:
    """Return the message for words that a verb does not know."""
    found = f"unrecognized arguments: {' '.join(unknown)}"
    first = unknown[0].partition("=")[0]
    if first in _OF_TRAINING and verb not in (None, "train", "evaluate"):
        return (
            f"{found}. What to do: leave {first} out here, and use it with the training: "
            f"lightskip train BUNDLE {first} …, or lightskip fit"
        )
    if verb is None:
        return found
    [verbs] = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    near = get_close_matches(first, verbs.choices[verb]._option_string_actions, n=1, cutoff=0.75)
    meant = f" What to do: did you mean {near[0]}?" if near and first.startswith("--") else ""
    return f"{found}.{meant} lightskip {verb} --help lists the options"


def _run(options: argparse.Namespace) -> int:
    try:
        status = run_within_memory(options)
        if options.owns_process:
            return status or _report_lost_output()
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        if not options.is_inner:
            print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Of `predict --stdin`, or where this is a part of another program. Python would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        explained = _explain(error)
        if explained is None:
            raise
        text, status = explained
        print(f"error: {text}", file=sys.stderr)
        return status


def _report_lost_output() -> int:
    """Return 0, or 1 with a message if what was printed could not be written. A reader who has gone wanted no more."""
    lost = find_lost_output()
    if lost is None or isinstance(lost, BrokenPipeError):
        return 0
    reason = str(lost.strerror).lower()
    print(
        f"error: standard output: found {reason}; expected a file or a program to print to. The work is done. What to "
        "do: run the command again if you need what it prints.",
        file=sys.stderr,
    )
    return 1


def _explain(error: Exception) -> tuple[str, int] | None:
    """Return the message for an error and its exit status, or None for an error of the program itself."""
    # Imported only now: its package imports NumPy.
    from ..data.errors import disk_message, input_error_behind, removed_folder_error  # noqa: PLC0415

    # In a working folder that was removed, nothing that was named by a relative path is there any more.
    full, gone = disk_message(error), removed_folder_error()
    if full is not None or gone is not None:
        return (full, 1) if full is not None else (str(gone), 2)
    if isinstance(error, OSError):
        # An error without a file name is not about a file of the user's.
        if error.filename is None:
            return None
        return (
            f"{error.filename}: found {str(error.strerror).lower()}; expected a file or folder to read or write. What "
            "to do: name another one, or check its permissions and the free space on its disk.",
            2,
        )
    if isinstance(error, ModuleNotFoundError):
        if (error.name or "").partition(".")[0] != "matplotlib":
            return None
        return "drawing needs matplotlib; install it with: pip install 'lightskip[report]'", 2
    # MONAI wraps errors in a config in RuntimeErrors.
    explained = input_error_behind(error) if isinstance(error, ValueError | RuntimeError) else None
    return None if explained is None else (str(explained), 2)


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
    add_predict_verb(verbs)
    add_postprocess_verbs(verbs)
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
