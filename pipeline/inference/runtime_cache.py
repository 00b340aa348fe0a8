"""Keep converted networks and the times of runtimes on disk, for the next start.

Everything is under a key that names the network's weights and code, the window and the versions: a network with other
weights has another key. Files are only a shortcut: without them, or where they are damaged, the work is done again.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.json_file import load_json
from ..disk import unknown_disk_error
from ..files import whole_file, write_text

__all__ = ["RuntimeCache", "cache_folder", "name_processor"]

logger = logging.getLogger(__name__)

_PACKAGES = ("torch", "openvino")
_MODEL = ("model.xml", "model.bin")
_KEY = re.compile("[0-9a-f]{32}")
_MAX_SECONDS = 1e6  # of a window
_MAX_NETWORKS = 20  # kept converted networks; the ones that were used last


def cache_folder() -> Path:
    """Return the folder for files that speed up the next start.

    It is ``LIGHTSKIP_CACHE`` if set, else ``lightskip`` in the user's cache folder (``XDG_CACHE_HOME``, ``~/.cache``).
    """
    own = os.environ.get("LIGHTSKIP_CACHE")
    if own:
        return _expand(own)
    return _expand(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "lightskip"


def _expand(folder: str) -> Path:
    # Path.expanduser raises RuntimeError for the home of an unknown user.
    return Path(os.path.expanduser(folder))  # noqa: PTH111


def name_processor() -> str:
    """Return the processor's model, with a checksum of the instructions that it has."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
        flags = hashlib.sha256(found.get("flags", found.get("Features", "")).encode()).hexdigest()[:8]
        return f"{found.get('model name', platform.machine())} {flags} {torch.backends.cpu.get_cpu_capability()}"
    return f"{platform.processor() or platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


class RuntimeCache:
    """The files about one network with windows of one shape.

    Args:
        network: with its final weights.
        shape: shape of a window, (C, *spatial).
        folder: folder of all networks' files; None: see `cache_folder`.
    """

    def __init__(self, network: nn.Module, shape: Sequence[int], folder: Path | None = None) -> None:
        self.key = _make_key(network, shape)
        self.folder = (folder or cache_folder()) / "networks" / self.key

    def read_times(self, name: str) -> dict[str, float]:
        """Return stored seconds by what they were spent on; nothing if there are none.

        Args:
            name: what the times depend on besides the network: processor, number format, threads.
        """
        found = self._read("times.json").get(name)
        if not isinstance(found, dict) or not all(_is_time(value) for value in found.values()):
            return {}
        return {str(key): float(value) for key, value in found.items()}

    def write_times(self, name: str, times: Mapping[str, float]) -> None:
        """Store seconds."""
        content = {**self._read("times.json"), name: {key: float(f"{value:.4g}") for key, value in times.items()}}
        self._try(lambda: write_text(self.folder / "times.json", json.dumps(content, indent=2) + "\n"))

    def find_model(self) -> Path | None:
        """Return the file of the converted network, or None if it is missing or damaged."""
        sums = self._read("model.json")
        try:
            whole = all(_checksum(self.folder / name) == sums.get(name) for name in _MODEL)
        except OSError:
            whole = False
        if sums and not whole:
            self.forget_model()
        if not whole:
            return None
        with suppress(OSError):
            os.utime(self.folder)
        return self.folder / "model.xml"

    def forget_model(self) -> None:
        """Warn that the converted network is damaged, and remove it."""
        logger.warning("%s: a damaged file of a converted network; it is converted again", self.folder)
        with suppress(OSError):
            (self.folder / "model.json").unlink(missing_ok=True)

    def keep_model(self, save: Callable[[Path], Any]) -> None:
        """Store the converted network.

        Args:
            save: writes the network to the path that it is called with, and its weights next to it, as ``.bin``.
        """

        def write() -> None:
            with whole_file(self.folder / "model.xml") as temporary:
                weights = temporary.with_suffix(".bin")
                try:
                    save(temporary)
                    weights.replace(self.folder / "model.bin")
                except RuntimeError as error:
                    # OpenVINO's, as on a full disk.
                    raise unknown_disk_error(self.folder / "model.xml") from error
                finally:
                    weights.unlink(missing_ok=True)
            sums = {name: _checksum(self.folder / name) for name in _MODEL}
            write_text(self.folder / "model.json", json.dumps(sums, indent=2) + "\n")
            self._remove_oldest()

        self._try(write)

    def _remove_oldest(self) -> None:
        def last_use(folder: Path) -> float:
            return folder.stat().st_mtime

        folders = sorted(filter(_is_own, self.folder.parent.iterdir()), key=last_use, reverse=True)
        for folder in folders[_MAX_NETWORKS:]:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content = load_json(self.folder / name)
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def _try(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except OSError as error:
            _report_unwritable(self.folder.parents[1], error.strerror)


@cache
def _report_unwritable(folder: Path, reason: str | None) -> None:
    """Report a folder once: each network of a prediction writes several files."""
    logger.warning(
        "%s: found a folder that cannot be written to (%s); expected a folder for converted networks. The next start "
        "converts again. What to do: name a folder in LIGHTSKIP_CACHE.",
        folder,
        reason,
    )


def _is_time(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and 0 < value < _MAX_SECONDS


def _is_own(folder: Path) -> bool:
    """Return whether a folder is one of a converted network: other folders may be in the user's folder too."""
    named = _KEY.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink()
    return bool(named) and {file.name for file in folder.iterdir()} <= {*_MODEL, "model.json", "times.json"}


def _make_key(network: nn.Module, shape: Sequence[int]) -> str:
    """Return a checksum of what a converted network depends on."""
    total = hashlib.sha256()
    words = [str(network), str(tuple(shape)), *(f"{package} {_version(package)}" for package in _PACKAGES)]
    for text in words:
        total.update(text.encode() + b"\0")
    for file in sorted(_source_files(network)):
        total.update(Path(file).read_bytes())
    for name, tensor in network.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        total.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        total.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()[:32]


def _source_files(network: nn.Module) -> set[str]:
    """Return the files of the classes of a network's modules, PyTorch's excepted."""
    found = set()
    for kind in {type(module) for module in network.modules()}:
        if not kind.__module__.startswith("torch."):
            with suppress(TypeError, OSError):
                found.add(inspect.getfile(kind))
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except ModuleNotFoundError:
        return "missing"


def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
