"""Verbs that share bundles: `import` and `push`."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from .words import require_path

__all__ = ["add_share_verbs"]

_MAX_SIZE = 1e15  # bytes
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def add_share_verbs(verbs: Any) -> None:
    """Add `import` and `push` to the subparsers."""
    taken = verbs.add_parser(
        "import",
        help="unpack another person's bundle safely, after listing its code",
        description="Check a bundle's zip, its checksums and weights; list every expression, class and script that "
        "would run; unpack the bundle if you agree. None of its code runs here, and none is judged: read the list.",
        epilog="Without a terminal, agree with --yes. Exit status: 0 unpacked or listed, 2 refused or not agreed.",
    )
    taken.add_argument(
        "bundle", type=require_path, metavar="ZIP", help="a bundle's zip; or a folder, which is only listed"
    )
    taken.add_argument(
        "-o",
        "--output",
        type=_path,
        metavar="DIR",
        help="new folder (default: the bundle's name, in the working directory)",
    )
    taken.add_argument("--list", action="store_true", help="only list; unpack nothing")
    taken.add_argument("--yes", action="store_true", help="unpack without asking, unless a check refuses it")
    taken.add_argument("--json", type=_path, metavar="FILE", help="also write the list as JSON")
    taken.add_argument(
        "--max-size",
        type=_size,
        metavar="SIZE",
        help="limit of the unpacked size, such as 50GB (default: 20GB; above 100 MB also 100 times the zip's size)",
    )
    taken.set_defaults(run=_import)

    push = verbs.add_parser(
        "push",
        help="upload an exported bundle to the Hugging Face Hub",
        description="Upload an exported bundle to the Hugging Face Hub with MONAI, tagged with its version.",
        epilog="Log in first with `hf auth login`, or set HF_TOKEN; --dry-run needs neither. Needs huggingface_hub: "
        "pip install 'lightskip[hub]'",
    )
    push.add_argument("folder", type=require_path, metavar="FOLDER", help="an exported bundle's folder")
    push.add_argument("--repo", required=True, metavar="OWNER/NAME", help="repository on the hub; created if missing")
    push.add_argument("--dry-run", action="store_true", help="upload nothing; list the files, without network access")
    seen = push.add_mutually_exclusive_group()
    seen.add_argument("--private", action="store_true", help="make a new repository private (the default)")
    seen.add_argument("--public", action="store_true", help="make a new repository public")
    push.add_argument("--message", metavar="TEXT", help="commit message (default: the bundle's name and version)")
    push.set_defaults(run=_push)


def _import(options: argparse.Namespace) -> int:
    from ..bundle.at_hand.imported import remember_import  # noqa: PLC0415
    from ..bundle.unpack.command import open_bundle  # noqa: PLC0415
    from ..bundle.unpack.report import as_json, as_text  # noqa: PLC0415
    from ..bundle.unpack.terminal import printable  # noqa: PLC0415
    from ..files import write_text  # noqa: PLC0415
    from ..prediction.foreign import next_command  # noqa: PLC0415

    _check_list(options.json, options.bundle, options.output)
    with open_bundle(options.bundle, output=options.output, look=options.list, max_bytes=options.max_size) as found:
        _check_list(options.json, options.bundle, found.target)
        print(as_text(found.examination), flush=True)
        if options.json:
            write_text(options.json.absolute(), as_json(found.examination))
        found.check()
        if found.target is None:
            return 0
        if not (options.yes or _ask(f"unpack to {printable(str(found.target))}?")):
            return 2
        place = found.place()
    print(f"unpacked: {place}")
    if note := remember_import(place):
        print(f"note: {note}", file=sys.stderr)
    quoted = shlex.quote(str(place))
    if found.examination.to_download:
        print(f"first: python -m monai.bundle download_large_files --bundle_path {quoted}")
        print(f"then check what was downloaded: lightskip import {quoted} --list")
    if command := next_command(place):
        print(f"next: {command}")
    return 0


def _check_list(listed: Path | None, bundle: Path, output: Path | None) -> None:
    """Raise InputError if the list would replace the zip, or be in the folder that is to be made."""
    from ..data.errors import InputError  # noqa: PLC0415

    if listed is None:
        return
    found = ""
    if listed.resolve() == bundle.resolve() or (bundle.is_file() and listed.is_file() and listed.samefile(bundle)):
        found = "the bundle itself"
    elif output is not None and listed.resolve().is_relative_to(output.resolve()):
        found = f"a file in {output}, the folder to be made"
    if found:
        remedy = "name a file elsewhere"
        raise InputError("--json", found=found, expected="a separate file for the list", remedy=remedy)


def _ask(question: str) -> bool:
    if not sys.stdin.isatty():
        print("nothing was unpacked: there is no terminal; read the list, then add --yes", file=sys.stderr)
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    print("nothing was unpacked", file=sys.stderr)
    return False


def _push(options: argparse.Namespace) -> int:
    from ..bundle.push.hub import push  # noqa: PLC0415
    from ..bundle.push.plan import plan_push, push_text  # noqa: PLC0415

    plan = plan_push(options.folder, options.repo, private=not options.public, message=options.message)
    print(push_text(plan), flush=True)
    if options.dry_run:
        print("dry run: nothing was uploaded")
        return 0
    print(f"uploaded: {push(plan)}")
    return 0


def _path(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name")
    return Path(text)


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    size = 0.0 if match is None else float(match[1]) * _UNITS.get(match[2].upper(), 0)
    if not 1 <= size <= _MAX_SIZE:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a number above 0 with its unit: MB, GB, TB, MiB, GiB or TiB; at most {_MAX_SIZE:g} bytes"
        )
    return int(size)
