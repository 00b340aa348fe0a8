"""What an export tells the person who made it."""

from __future__ import annotations

from pathlib import Path

from ..bundle.words import as_text, near
from .archive import files_of
from .export import Made

__all__ = ["told"]


def told(made: Made) -> str:
    """A few lines: what was made, how large it is, how far its forms are apart, and what to do with it next."""
    sizes = {name: path.stat().st_size for name, path in files_of(made.folder)}
    lines = [f"{near(made.folder)}: {len(sizes)} files, {_mb(sum(sizes.values()))}"]
    for name, size in sizes.items():
        if name.startswith("models/"):
            lines.append(f"  {name:<18}{_mb(size):>9}{_difference(made, Path(name).name)}")
    if made.archive is not None:
        lines.append(f"{near(made.archive)}: {_mb(made.archive.stat().st_size)}")
    for level, (gone, total) in sorted(made.left_out.items()):
        lines.append(
            f"pruned: {gone} of {total} channels of the skip at level {level} (0 is the finest); but for rounding, "
            "the output is the same"
        )
    if made.weights:
        lines.append(made.weights)
    config = near(made.folder) / "configs" / "inference.json"
    command = ["python", "-m", "monai.bundle", "run", "--config_file", str(config), "--dataset_dir", "SCANS"]
    lines.append(f"next: {as_text(command)} --output_dir OUT")
    return "\n".join(lines) + "\n"


def _difference(made: Made, name: str) -> str:
    if name not in made.differences:
        return "" if name in ("model.pt", "model.json") else "  not compared: its runtime is not installed"
    return f"  logits within {made.differences[name]:.1e} of PyTorch's"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
