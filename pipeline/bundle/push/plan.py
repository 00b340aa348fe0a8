"""Chooses what of an exported bundle goes to the Hugging Face Hub, and tells it, without network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...data.errors import InputError
from ..unpack.reading import nodes_of, read_config
from .files import Upload, files_with_tokens, is_config_file, private_notes, sort_files

__all__ = ["CARD", "PushPlan", "plan_push", "push_text"]

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_VERSION = re.compile(r"[0-9][A-Za-z0-9]*([.+-][A-Za-z0-9]+)*")
_OURS = re.compile(r"^pipeline\.|\b(?:from|import)\s+pipeline\b")
CARD, _SOURCE = "README.md", "docs/README.md"


@dataclass(frozen=True)
class PushPlan:
    """What an upload would be.

    Attributes:
        folder: the bundle's.
        repo: ``owner/name`` on the hub.
        version: the bundle's, and the tag.
        private: whether a new repository is made private.
        message: of the commit.
        uploads: the files that go.
        left_out: those that do not.
        card: what becomes of the model card, in words.
        notes: what to look at before, in words.
    """

    folder: Path
    repo: str
    version: str
    private: bool
    message: str
    uploads: tuple[Upload, ...]
    left_out: tuple[str, ...]
    card: str
    notes: tuple[str, ...]


def plan_push(folder: Path, repo: str, *, private: bool = True, message: str | None = None) -> PushPlan:
    """Choose what goes to the hub, without network and without huggingface_hub.

    Raises:
        InputError: it is no exported bundle, lacks its version or licence, holds what may be somebody's data, or the
            repository's name is none.
    """
    if not _REPO.fullmatch(repo) or ".." in repo or "--" in repo or len(repo) > 96 or repo.endswith((".", "-", ".git")):
        raise InputError(
            "--repo",
            found=repo,
            expected="OWNER/NAME: letters and digits, with - _ . between them",
            remedy="give the hub's own form",
        )
    folder = folder.resolve()
    told = _metadata(folder)
    version = _version(folder, told)
    uploads, left_out, refused = sort_files(folder)
    names = [one.file for one in uploads]
    _check_exported(folder, [file for file in names if is_config_file(file)])
    if "LICENSE" not in names:
        raise InputError(
            folder, found="no LICENSE", expected="the licence that others may use it under", remedy="put it there"
        )
    if refused:
        raise InputError(
            folder,
            found=f"what may be data or results of yours: {', '.join(refused[:10])}"
            + f" and {len(refused) - 10} more" * (len(refused) > 10),
            expected="nothing but the bundle, since what is uploaded cannot be taken back for certain",
            remedy="move them out of the folder, or export the bundle into a new one",
        )
    _check_no_token(folder, uploads)
    return PushPlan(
        folder=folder,
        repo=repo,
        version=version,
        private=private,
        message=message or f"{told.get('name') or folder.name} {version}",
        uploads=tuple(uploads),
        left_out=tuple(left_out),
        card=_card(folder, names),
        notes=tuple(private_notes(folder, names)),
    )


def push_text(plan: PushPlan) -> str:
    """Return what would go, for the terminal."""
    total = sum(one.size for one in plan.uploads)
    width = len(f"{total:,}")
    lines = [
        f"{plan.folder.name} {plan.version} to https://huggingface.co/{plan.repo}",
        f"a new repository is made {'private' if plan.private else 'public'}; one that is there stays as it is",
        f"commit: {plan.message}; tag: {plan.version}",
        f"model card: {plan.card}",
        *(f"  {one.size:>{width},} bytes  {'LFS' if one.large else '   '}  {one.file}" for one in plan.uploads),
        f"  {total:>{width},} bytes in {len(plan.uploads)} files, "
        f"{sum(one.large for one in plan.uploads)} of them by LFS, as the hub does by default",
        *(f"left out: {file}" for file in plan.left_out),
        *(f"look at: {note}" for note in plan.notes),
    ]
    return "\n".join(lines)


def _metadata(folder: Path) -> dict[str, Any]:
    file = folder / "configs" / "metadata.json"
    content = _read(file)
    if not isinstance(content, dict):
        raise _unreadable(file, f"a {type(content).__name__}")
    return content


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise _unreadable(file, f"no readable file ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, f"text that is not JSON ({error})") from error


def _unreadable(file: Path, found: str) -> InputError:
    remedy = "give the folder that `lightskip export` made"
    return InputError(file, found=found, expected="a config of an exported bundle", remedy=remedy)


def _version(folder: Path, told: dict[str, Any]) -> str:
    version = str(told.get("version") or "")
    if not _VERSION.fullmatch(version):
        raise InputError(
            folder / "configs" / "metadata.json",
            found=f"the version {version[:60]!r}" if version else "no version",
            expected="a version, such as 0.1.0: it becomes the tag",
            remedy="write it there",
        )
    return version


def _check_exported(folder: Path, files: Sequence[str]) -> None:
    """A bundle that calls this package's code runs for nobody who has not installed it."""
    for file in files:
        try:
            texts = [node.value for node in nodes_of(file, read_config(folder / file)) if isinstance(node.value, str)]
        except ValueError as error:
            raise _unreadable(folder / file, str(error)) from error
        if any(_OURS.search(text) for text in texts):
            raise InputError(
                folder,
                found=f"configs that call LightSkip's own code ({PurePosixPath(file).name}): the bundle as it is "
                "worked on",
                expected="an exported bundle, which brings the code that it needs",
                remedy=f"export it first: lightskip export {folder}",
            )


def _check_no_token(folder: Path, uploads: Sequence[Upload]) -> None:
    told = files_with_tokens(folder, uploads)
    if told:
        raise InputError(
            folder,
            found=f"what looks like a token of the hub in {', '.join(told)}",
            expected="nothing that lets others act in your name",
            remedy="take it out, and revoke the token on the hub if others have seen it",
        )


def _card(folder: Path, names: list[str]) -> str:
    if _SOURCE not in names:
        return f"{CARD}, as it is" if CARD in names else f"none: write {_SOURCE}"
    licence = (folder / "LICENSE").read_text(encoding="utf-8", errors="replace")
    apache = "Apache License" in licence and "Version 2.0" in licence
    kind = "apache-2.0" if apache else "mit" if "MIT License" in licence else "unknown"
    card = f"{CARD}, which MONAI makes of {PurePosixPath(_SOURCE)} with the tags monai, medical and license: {kind}"
    started = (folder / _SOURCE).read_text(encoding="utf-8", errors="replace").startswith("---")
    return card + "; its own heading (---) comes after MONAI's and is shown as text" * started
