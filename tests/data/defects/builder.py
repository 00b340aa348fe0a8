"""Datasets put together from sound cases and what is done to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng

from .expected import Expected, Seeded
from .files import Change, Changed, File

FOLDS = 4


@dataclass
class Case:
    """A sound case of the dataset to be: its name and files, which a change may alter before they are written."""

    name: str
    files: dict[str, File]


class Builder:
    """Hands out sound cases of the source, each once, or again with other noise, and writes what becomes of them."""

    def __init__(self, source: Path, target: Path, seed: int, modality: Mapping[str, str]) -> None:
        described = json.loads((source / "dataset.json").read_text())
        self.rng = default_rng(seed)
        self.target = target
        self.sources = [
            {role: source / item[role] for role in ("image", "label")}
            for item in (described["training"][i] for i in self.rng.permutation(len(described["training"])))
        ]
        self.count = 0
        self.labels = described["labels"]
        if any(isinstance(value, int) for value in self.labels.values()):
            self.labels = {str(value): name for name, value in self.labels.items()}
        self.modality = modality
        self.items: dict[str, list[Any]] = {"training": [], "test": []}
        self.checksums: dict[str, str] = {}
        self.seeded = Seeded(target / "dataset.json")

    def case(self) -> Case:
        paths = self.sources[self.count % len(self.sources)]
        files = {role: File.read(path) for role, path in paths.items()}
        if self.count >= len(self.sources):
            files["image"].voxels = _with_noise(files["image"].voxels, self.rng)
        self.count += 1
        return Case(f"case_{self.count:03d}", files)

    def write(self, file: File, content: Changed, folder: str, name: str) -> str:
        """Write a file (or nothing) and return its path relative to the dataset."""
        path = f"{folder}/{name}{file.suffix}"
        (self.target / folder).mkdir(parents=True, exist_ok=True)
        content = content.stored() if isinstance(content, File) else content
        if content is not None:
            (self.target / path).write_bytes(content)
        return path

    def add(self, name: str, image: str | list[str], label: str | None = None, **more: Any) -> dict[str, Any]:
        """Add an item to the list `training`, or without a label to `test`."""
        image = f"./{image}" if isinstance(image, str) else [f"./{path}" for path in image]
        if label is None:
            item = {"image": image, "subject": name} | more
            self.items["test"].append(item)
        else:
            fold = len(self.items["training"]) % FOLDS
            item = {"image": image, "label": f"./{label}", "fold": fold, "subject": name} | more
            self.items["training"].append(item)
        return item

    def add_case(
        self, changes: Mapping[str, Change], *, part: str = "training", suffix: str = "", **more: Any
    ) -> dict[str, str]:
        """Write one case with changes to its files, add it to the datalist and return its files by role."""
        case = self.case()
        end = {"training": "Tr", "test": "Ts"}[part]
        paths = {}
        for role in ("image", "label") if part == "training" else ("image",):
            file = case.files[role]
            content = changes[role](file, self.rng) if role in changes else file
            written = content if isinstance(content, File) else file
            paths[role] = self.write(written, content, f"{role}s{end}", case.name + suffix)
        self.add(case.name, paths["image"], paths.get("label"), **more)
        return paths

    def expect(
        self, what: str, kinds: tuple[str, ...], files: tuple[str | None, ...], also: frozenset[str] = frozenset()
    ) -> None:
        """Expect one finding; `also` are the kinds that may come with it on these files."""
        self.seeded.expected.append(Expected(what, kinds, files))
        self.allow(files, {*kinds, *also})

    def allow(self, files: tuple[str | None, ...], kinds: set[str]) -> None:
        for file in filter(None, files):
            self.seeded.also_allowed[file] = self.seeded.also_allowed.get(file, frozenset()) | kinds

    def finish(self) -> Seeded:
        order = self.rng.permutation(len(self.items["training"]))
        described = {
            "name": "Seeded",
            "description": "copies of sound cases, most of them with one defect each",
            "modality": dict(self.modality),
            "labels": self.labels,
            "seed": 0,
            "folds": f"{FOLDS} folds in turn",
            "numTraining": len(self.items["training"]),
            "numTest": len(self.items["test"]),
            "training": [self.items["training"][i] for i in order],
            "test": self.items["test"],
            "checksums": self.checksums,
        }
        self.seeded.datalist.write_text(json.dumps(described, indent=1))
        return self.seeded


def _with_noise(voxels: np.ndarray, rng: Generator) -> np.ndarray:
    if np.issubdtype(voxels.dtype, np.integer):
        highest = np.iinfo(voxels.dtype).max - 1
        return np.minimum(voxels, highest) + rng.integers(0, 2, voxels.shape).astype(voxels.dtype)
    return voxels * rng.uniform(0.99, 1.01, voxels.shape).astype(voxels.dtype)
