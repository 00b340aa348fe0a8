"""Uploads an exported bundle to the Hugging Face Hub, by MONAI.

MONAI uploads a folder as it is, with whatever was left in it, and writes the model card into it. So it gets a folder of
its own, with the files that were chosen.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from ...data.errors import InputError
from .plan import CARD, PushPlan

__all__ = ["push"]


def push(plan: PushPlan) -> str:
    """Upload by `monai.bundle.push_to_hf_hub`, with the token that `hf auth login` stored or HF_TOKEN names.

    Returns:
        Where it is now.

    Raises:
        InputError: huggingface_hub is not installed, the version is on the hub already, or the hub refuses.
    """
    hub = _hub()
    from monai.bundle import push_to_hf_hub  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix=".lightskip-push-") as name:
        staged = Path(name) / plan.folder.name
        for one in plan.uploads:
            _stage(plan.folder / one.file, staged / one.file)
        try:
            _check_new(hub, plan)
            where = push_to_hf_hub(
                repo=plan.repo,
                name=staged.name,
                bundle_dir=name,
                private=plan.private,
                version=plan.version,
                commit_message=plan.message,
            )
        except InputError:
            raise
        except Exception as error:
            # Its errors are of many families, and nothing but what it says helps a user.
            raise _refused(plan, error) from error
    return str(where)


def _hub() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise InputError(
            "lightskip push",
            found="no package huggingface_hub",
            expected="the Hugging Face Hub's client",
            remedy="install it with: pip install 'lightskip[hub]'; --dry-run works without it",
        ) from error


def _check_new(hub: Any, plan: PushPlan) -> None:
    """MONAI would leave a tag that is there where it is, and the new files without one."""
    api = hub.HfApi()
    if not api.repo_exists(plan.repo):
        return
    if any(tag.name == plan.version for tag in api.list_repo_refs(plan.repo).tags):
        raise InputError(
            plan.repo,
            found=f"version {plan.version} on the hub already",
            expected="a version that is not",
            remedy="raise version in configs/metadata.json, with a line in its changelog",
        )


def _refused(plan: PushPlan, error: Exception) -> InputError:
    # A message of the client's may hold the request with its headers.
    said = re.sub(r"hf_\w+", "hf_…", " ".join(str(error).split()))[:500]
    return InputError(
        plan.repo,
        found=f"an upload that failed: {type(error).__name__}: {said}",
        expected="a repository that you may write to, and a connection to the hub",
        remedy="log in with `hf auth login` or set HF_TOKEN to a token that may write, then run the same command again",
    )


def _stage(source: Path, target: Path) -> None:
    """Give a file a second name where that is possible: weights are large. What MONAI writes into is copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name != CARD:
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
