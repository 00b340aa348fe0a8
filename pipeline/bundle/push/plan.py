"""Plan the upload of an exported bundle to the Hugging Face Hub, without network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...data.errors import InputError
from ...data.json_file import load_json
from ..unpack.reading import nodes_of, read_config
from .files import Upload, find_private_notes, find_tokens, is_config_file, sort_files

__all__ = ["CARD", "PushPlan", "plan_push", "push_text"]

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_VERSION = re.compile(r"[0-9][A-Za-z0-9]*([.+-][A-Za-z0-9]+)*")
_LIGHTSKIP_CODE = re.compile(r"^pipeline\.|\b(?:from|import)\s+pipeline\b")
CARD, _SOURCE = "README.md", "docs/README.md"


@dataclass(frozen=True)
class PushPlan:
    """The plan of an upload.

    Attributes:
        folder: the bundle's folder.
        repo: ``owner/name`` on the hub.
        version: the bundle's version, and the tag.
        private: whether a new repository is private.
        message: the commit message.
        uploads: the files to upload.
        left_out: the files that are not uploaded.
        card: the source of the model card, in words.
        notes: what the user should check first, in words.
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
    """Return the plan of an upload, without network and without huggingface_hub.

    Raises:
        InputError: the folder is not an exported bundle, has no version or licence, or contains what may be data; or
            the repository's name is not valid.
    """
    if not _REPO.fullmatch(repo) or ".." in repo or "--" in repo or len(repo) > 96 or repo.endswith((".", "-", ".git")):
        raise InputError(
            "--repo",
            found=repo,
            expected="OWNER/NAME: letters and digits, with - _ . between them",
            remedy="correct the name",
        )
    folder = folder.resolve()
    metadata = _read_metadata(folder)
    version = _read_version(folder, metadata)
    uploads, left_out, refused = sort_files(folder)
    names = [one.file for one in uploads]
    _check_exported(folder, [file for file in names if is_config_file(file)])
    if "LICENSE" not in names:
        raise InputError(
            folder,
            found="no LICENSE",
            expected="a licence under which others may use the bundle",
            remedy="add a file LICENSE to the folder",
        )
    if refused:
        raise InputError(
            folder,
            found=f"files that may be your data or results: {', '.join(refused[:10])}"
            + f" and {len(refused) - 10} more" * (len(refused) > 10),
            expected="only files of the bundle, since an upload cannot be undone with certainty",
            remedy="move them out of the folder, or export the bundle into a new one",
        )
    _check_no_token(folder, uploads)
    return PushPlan(
        folder=folder,
        repo=repo,
        version=version,
        private=private,
        message=message or f"{metadata.get('name') or folder.name} {version}",
        uploads=tuple(uploads),
        left_out=tuple(left_out),
        card=_describe_card(folder, names),
        notes=tuple(find_private_notes(folder, names)),
    )


def push_text(plan: PushPlan) -> str:
    """Return the plan of an upload for the terminal."""
    total = sum(one.size for one in plan.uploads)
    width = len(f"{total:,}")
    lines = [
        f"{plan.folder.name} {plan.version} to https://huggingface.co/{plan.repo}",
        f"a new repository becomes {'private' if plan.private else 'public'}; an existing one keeps its setting",
        f"commit: {plan.message}; tag: {plan.version}",
        f"model card: {plan.card}",
        *(f"  {one.size:>{width},} bytes  {'LFS' if one.large else '   '}  {one.file}" for one in plan.uploads),
        f"  {total:>{width},} bytes in {len(plan.uploads)} files, "
        f"{sum(one.large for one in plan.uploads)} of them by LFS, the hub's default",
        *(f"left out: {file}" for file in plan.left_out),
        *(f"check: {note}" for note in plan.notes),
    ]
    return "\n".join(lines)


def _read_metadata(folder: Path) -> dict[str, Any]:
    file = folder / "configs" / "metadata.json"
    content = _read_json(file)
    if not isinstance(content, dict):
        raise _unreadable(file, f"a {type(content).__name__}")
    return content


def _read_json(file: Path) -> Any:
    try:
        return load_json(file)
    except OSError as error:
        raise _unreadable(file, f"no readable file ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, f"text that is not JSON ({error})") from error


def _unreadable(file: Path, found: str) -> InputError:
    remedy = "name the folder that `lightskip export` wrote"
    return InputError(file, found=found, expected="a config of an exported bundle", remedy=remedy)


def _read_version(folder: Path, metadata: dict[str, Any]) -> str:
    version = str(metadata.get("version") or "")
    if not _VERSION.fullmatch(version):
        raise InputError(
            folder / "configs" / "metadata.json",
            found=f"the version {version[:60]!r}" if version else "no version",
            expected="a version, such as 0.1.0, which becomes the tag",
            remedy="add it to that file",
        )
    return version


def _check_exported(folder: Path, files: Sequence[str]) -> None:
    """Refuse a bundle that calls LightSkip's code: it runs only where LightSkip is installed."""
    for file in files:
        try:
            texts = [node.value for node in nodes_of(file, read_config(folder / file)) if isinstance(node.value, str)]
        except ValueError as error:
            raise _unreadable(folder / file, str(error)) from error
        if any(_LIGHTSKIP_CODE.search(text) for text in texts):
            raise InputError(
                folder,
                found=f"configs that call LightSkip's own code ({PurePosixPath(file).name}), as before an export",
                expected="an exported bundle, which contains the code that it needs",
                remedy=f"export it first: lightskip export {folder}",
            )


def _check_no_token(folder: Path, uploads: Sequence[Upload]) -> None:
    files = find_tokens(folder, uploads)
    if files:
        raise InputError(
            folder,
            found=f"something like an access token of the hub in {', '.join(files)}",
            expected="no token, since it lets others act in your name",
            remedy="remove it, and revoke the token on the hub if others have seen it",
        )


def _describe_card(folder: Path, names: list[str]) -> str:
    if _SOURCE not in names:
        return f"{CARD}, unchanged" if CARD in names else f"none: write {_SOURCE}"
    licence = (folder / "LICENSE").read_text(encoding="utf-8", errors="replace")
    apache = "Apache License" in licence and "Version 2.0" in licence
    kind = "apache-2.0" if apache else "mit" if "MIT License" in licence else "unknown"
    card = f"{CARD}, which MONAI makes from {PurePosixPath(_SOURCE)} with the tags monai, medical and license: {kind}"
    started = (folder / _SOURCE).read_text(encoding="utf-8", errors="replace").startswith("---")
    return card + "; its own header (---) follows MONAI's and is shown as text" * started
