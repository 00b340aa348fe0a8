"""Format the result of an export for the terminal."""

from __future__ import annotations

from pathlib import Path

from ..bundle.words import as_text, shorten_path
from .archive import list_files
from .export import ExportResult

__all__ = ["summary_text"]


def summary_text(result: ExportResult) -> str:
    """Return a few lines: the files, their sizes, how far the network's forms differ, and the next command."""
    sizes = {name: path.stat().st_size for name, path in list_files(result.folder)}
    lines = [f"{shorten_path(result.folder)}: {len(sizes)} files, {_format_mb(sum(sizes.values()))}"]
    for name, size in sizes.items():
        if name.startswith("models/"):
            lines.append(f"  {name:<18}{_format_mb(size):>9}{_format_difference(result, Path(name).name)}")
    if result.archive is not None:
        lines.append(f"{shorten_path(result.archive)}: {_format_mb(result.archive.stat().st_size)}")
    for level, (gone, total) in sorted(result.left_out.items()):
        lines.append(
            f"pruned: {gone} of {total} channels of the skip at level {level} (0 is the finest); the output is the "
            "same up to rounding"
        )
    if result.weights:
        lines.append(result.weights)
    config = shorten_path(result.folder) / "configs" / "inference.json"
    command = ["python", "-m", "monai.bundle", "run", "--config_file", str(config), "--dataset_dir", "SCANS"]
    lines.append(f"next: {as_text(command)} --output_dir OUT")
    return "\n".join(lines) + "\n"


def _format_difference(result: ExportResult, name: str) -> str:
    if name not in result.differences:
        return "" if name in ("model.pt", "model.json") else "  not compared: its runtime is not installed"
    return f"  logits within {result.differences[name]:.1e} of PyTorch's"


def _format_mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
