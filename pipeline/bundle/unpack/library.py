"""Which classes of MONAI, PyTorch and Ignite only compute, or do what every bundle does: a list of what is allowed."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["is_helper", "is_of_monai", "is_usual"]

_MONAI = ["transforms", "networks", "losses", "metrics", "data", "engines", "handlers", "inferers", "optimizers"]
_FUNCTIONS = frozenset(
    {
        "list_data_collate",
        "pad_list_data_collate",
        "decollate_batch",
        "worker_init_fn",
        "partition_dataset",
        "select_cross_validation_folds",
        "load_decathlon_datalist",
        "from_engine",
        "stopping_fn_from_metric",
        "stopping_fn_from_loss",
    }
)
# They load what can run, fetch from the network, call a function of another package by its name, or write to servers.
_NOT = re.compile(
    r"MLFlow|ClearML|^Trt|TorchVision|TorchIO|LMDB|PersistentDataset|CacheNTrans|GDSDataset|^Nvtx|"
    r"BertPreTrained|MetricsReloaded|^MLflow|^Neptune|^Visdom|^W[Aa]nd[Bb]|^Polyaxon"
)
_OTHERS = re.compile(
    r"torch\.nn\.(?:modules\.\w+\.|parallel\.)?[A-Z]\w*"
    r"|torch\.optim\.(?:lr_scheduler\.)?[A-Z]\w*|torch\.utils\.data\.(?:distributed\.)?[A-Z]\w*"
    r"|torch\.(?:cuda\.)?amp\.GradScaler|torch\.(?:device|tensor|zeros|ones|Generator)"
    r"|ignite\.(?:contrib\.)?(?:handlers|metrics)\.(?:\w+\.)?[A-Z]\w*"
)
_DEFINED = re.compile(r"^(?:class|def)\s+(\w+)|^((?:\w+\s*=\s*)+)\(?\s*\w+\s*\)?\s*$", re.MULTILINE)


def is_usual(target: str) -> bool:
    """Tell whether a `_target_` names a class that is allowed for, by its full or MONAI's bare name.

    What the installed MONAI does not define in the module that is named is not: another module may be reached there.
    """
    if _OTHERS.fullmatch(target):
        return not _NOT.search(target.rpartition(".")[2])
    module, _, name = target.rpartition(".")
    if _NOT.search(name) or not (name in _FUNCTIONS or name[:1].isupper()):
        return False
    if not module:
        where = _names().get(name, frozenset())
        return bool(where) and all(_allowed(one) for one in where)
    return _allowed(module) and module in _modules() and any(_allowed(one) for one in _names().get(name, ()))


def is_of_monai(name: str) -> bool:
    """Tell whether MONAI defines a class or function of a bare name."""
    return name in _names()


def is_helper(name: str) -> bool:
    """Tell whether a name is that of a reader, writer or merger of MONAI's, which it finds in any case of letters."""
    return name.lower() in {one.lower() for one in _names() if one.endswith(("Reader", "Writer", "Merger"))}


def _allowed(module: str) -> bool:
    root, *parts = module.split(".")
    return root == "monai" and bool(parts) and parts[0] in _MONAI


@cache
def _files() -> dict[str, Path]:
    found = find_spec("monai")
    folders = [Path(one) for one in (found.submodule_search_locations or ())] if found else []
    files = {}
    for folder in folders:
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            files[".".join(["monai", *(parts[:-1] if parts[-1] == "__init__" else parts)])] = file
    return files


def _modules() -> set[str]:
    return set(_files())


@cache
def _names() -> dict[str, frozenset[str]]:
    """Return what MONAI defines, read from its files: importing it takes seconds, and is not needed to know this."""
    names: dict[str, set[str]] = {}
    for module, file in _files().items():
        for defined, assigned in _DEFINED.findall(file.read_text(encoding="utf-8", errors="replace")):
            for name in [defined] if defined else re.findall(r"\w+", assigned):
                names.setdefault(name, set()).add(module)
    return {name: frozenset(modules) for name, modules in names.items()}
