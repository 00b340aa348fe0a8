"""Upload an exported bundle to the Hugging Face Hub with MONAI.

MONAI uploads every file of a folder and writes the model card into it. So it gets a temporary folder with the chosen
files.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from ...data.errors import InputError
from ...leftovers import temporary_folder
from .plan import CARD, PushPlan

__all__ = ["push"]


def push(plan: PushPlan) -> str:
    """Upload with `monai.bundle.push_to_hf_hub`, with the token of `hf auth login` or HF_TOKEN.

    Returns:
        The address of the upload.

    Raises:
        InputError: huggingface_hub is not installed, the version is on the hub already, or the hub refuses.
    """
    hub = _import_hub()
    from monai.bundle import push_to_hf_hub  # noqa: PLC0415

    with temporary_folder() as folder:
        staged = folder / plan.folder.name
        for one in plan.uploads:
            _stage_file(plan.folder / one.file, staged / one.file)
        try:
            _check_new(hub, plan)
            where = push_to_hf_hub(
                repo=plan.repo,
                name=staged.name,
                bundle_dir=str(folder),
                private=plan.private,
                version=plan.version,
                commit_message=plan.message,
            )
        except InputError:
            raise
        except Exception as error:
            # The client raises many types of errors, and only their messages help a user.
            raise _explain_failure(plan, error) from error
    return str(where)


def _import_hub() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise InputError(
            "lightskip push",
            found="no package huggingface_hub",
            expected="the client of the Hugging Face Hub",
            remedy="install it with: pip install 'lightskip[hub]'; --dry-run works without it",
        ) from error


def _check_new(hub: Any, plan: PushPlan) -> None:
    """Refuse a version that is on the hub: MONAI would not move its tag, and leave the new files without one."""
    api = hub.HfApi()
    if not api.repo_exists(plan.repo):
        return
    if any(tag.name == plan.version for tag in api.list_repo_refs(plan.repo).tags):
        raise InputError(
            plan.repo,
            found=f"version {plan.version} on the hub already",
            expected="a new version",
            remedy="raise version in configs/metadata.json, and add a line to its changelog",
        )


def _explain_failure(plan: PushPlan, error: Exception) -> InputError:
    # The client's message may contain the request with its headers.
    message = re.sub(r"hf_\w+", "hf_…", " ".join(str(error).split()))[:500]
    return InputError(
        plan.repo,
        found=f"an upload that failed: {type(error).__name__}: {message}",
        expected="a repository that you may write to, and a connection to the hub",
        remedy="log in with `hf auth login` or set HF_TOKEN to a token that may write, then run the same command again",
    )


def _stage_file(source: Path, target: Path) -> None:
    """Link a file where that is possible, since weights are large. The card, which MONAI changes, is copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name != CARD:
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
