"""A bundle's evaluation, opened: its trained network, validation cases, pre- and post-processing and inferer."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from monai.data.utils import decollate_batch, list_data_collate
from monai.inferers.inferer import SlidingWindowInferer
from monai.transforms import Invertd
from torch import Tensor, nn

from ..bundle.launch import Launch
from ..data.case_names import name_cases
from ..data.config_errors import explain_config_errors
from ..data.datalist import as_list
from ..data.dataset import annotated_in_datalist, names_in_datalist
from ..data.errors import InputError
from ..evaluation.metrics import measure_dice
from ..inference.weights_file import read_weights
from ..quiet import quiet_monai

__all__ = ["Case", "Session"]

Infer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """A validation case in the network's grid.

    Attributes:
        name: its name, as in ``lightskip evaluate``.
        source: path of its scan's (first) file.
        image: the scan, (1, C, *spatial), on the network's device.
        label: the reference label map, (1, 1, *scan's shape), in the scan's grid.
    """

    name: str
    source: str
    image: Any
    label: Any


class Session:
    """The parts of a bundle's evaluation, as its config names them.

    Args:
        launch: the checked evaluation, from `pipeline.bundle.launch.prepare`.

    Attributes:
        network: the trained network, for inference.
        inferer: the config's sliding windows.
        labels: value by name; 0 is the background.
        device: device of the network.
        weights: file of the weights.
        names: names of the cases, in their order.
        sources: paths of their scans.
        provenance: what produced the numbers, ready for JSON.

    Raises:
        InputError: settings, weights or cases cannot be used; the fold has no case; or the inferer has no windows.
    """

    def __init__(self, launch: Launch) -> None:
        with quiet_monai(), explain_config_errors("the training's config"):
            self._workflow = launch.workflow(logging_file=False)
        cases = self._get("val_cases")
        self.device = torch.device(self._get("device"))
        self.labels: dict[str, int] = dict(self._get("labels"))
        self.regions: dict[str, list[int]] | None = self._get("regions")
        # The label mapping's value of ignored voxels.
        self.ignored: list[int] = [self._get("num_labels")] if self._get("ignored_values") else []
        self._annotated = annotated_in_datalist(self._get("datalist"), self._get("dataset_dir"))
        self.inferer = self._get("validate#inferer")
        self.weights = Path(self._get("checkpoint"))
        self._dataset = self._get("validate#dataset")
        self._restore = self._get("validate#postprocessing")
        self.sources = [str(as_list(case["image"])[0]) for case in cases]
        fold = self._get("fold")
        if not cases:
            raise InputError(
                f"fold {fold} of {self._get('datalist')}",
                found="no validation case",
                expected="cases to probe the network on",
                remedy="name another fold: --fold N",
            )
        if not isinstance(self.inferer, SlidingWindowInferer):
            raise InputError(
                launch.files[0],
                found=f"{type(self.inferer).__name__} as validate#inferer",
                expected="MONAI's SlidingWindowInferer or one derived from it",
                remedy="write the configs again with `lightskip render`",
            )
        self.names = self._name_cases()
        self.network: nn.Module = self._load_network()
        self.provenance = {
            "bundle": launch.bundle.resolve().name,
            "checkpoint": self.weights.name,
            "checkpoint_sha256": hashlib.sha256(self.weights.read_bytes()).hexdigest(),
            "datalist": Path(self._get("datalist")).name,
            "fold": fold,
            "skip": self._get("used_skip"),
            "precision": self._get("used_precision"),
            "device": str(self.device),
            "window": self._get("window"),
        }

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return int(self._get("spatial_dims"))

    def find_cases(self, names: Sequence[str]) -> list[int]:
        """Return the indices of cases by their names.

        Raises:
            InputError: there is no case of a name.
        """
        for name in names:
            if name not in self.names:
                close = get_close_matches(name, self.names, n=1)
                raise InputError(
                    f"--cases {name}",
                    found="no such case in the validation fold",
                    expected=f"one of its {len(self.names)} cases, such as {', '.join(self.names[:3])}",
                    remedy=f"did you mean {close[0]}?" if close else "name one of these",
                )
        return [self.names.index(name) for name in dict.fromkeys(names)]

    def read_case(self, index: int) -> Case:
        """Return a case, read and pre-processed."""
        batch = list_data_collate([self._dataset[index]])
        return Case(self.names[index], self.sources[index], batch["image"].to(self.device), batch["label"])

    def read_scan(self, index: int) -> Any:
        """Return the first channel of a case's scan as its files have it, (X, Y[, Z]), in the scan's grid."""
        read = self._dataset.transform.transforms[0]
        return read(dict(self._dataset.data[index]))["image"][0].numpy()

    def segment(self, case: Case, infer: Infer | None = None) -> Any:
        """Return the label map of a case in the scan's grid, (1, *spatial), as ``lightskip evaluate`` makes it.

        Args:
            case: the case.
            infer: maps the case's image to logits (1, K, *spatial); by default the inferer with the network.
        """
        logits = self.inferer(case.image, self.network) if infer is None else infer(case.image)
        [item] = decollate_batch({"image": case.image, "label": case.label, "pred": logits})
        with _quiet_inverse():
            return self._restore(item)["pred"]

    def restore_volume(self, case: Case, volume: Tensor) -> Tensor:
        """Return a volume (1, C, *spatial) of the network's grid in the scan's grid, (C, *spatial), interpolated."""
        # The same as the post-processing does with probabilities.
        [item] = decollate_batch({"image": case.image, "pred": volume})
        invert = Invertd("pred", self._dataset.transform, orig_keys="image", nearest_interp=False)
        with _quiet_inverse():
            restored: Tensor = invert(item)["pred"].as_tensor().cpu()
        return restored

    def measure(self, case: Case, label_map: Any) -> dict[str, float]:
        """Return the Dice of a case by label or region; NaN for one that neither side has or nobody annotated."""
        return measure_dice(
            label_map,
            case.label[0],
            spatial_dims=self.spatial_dims,
            labels=self.labels,
            regions=self.regions,
            ignored=self.ignored,
            annotated=self._annotated.get(case.source),
        )

    def close(self) -> None:
        """Run the config's final steps."""
        self._workflow.finalize()

    def _get(self, key: str) -> Any:
        with explain_config_errors("the training's config"):
            return self._workflow.parser.get_parsed_content(key)

    def _name_cases(self) -> list[str]:
        named = names_in_datalist(self._get("datalist"), self._get("dataset_dir"))
        others = name_cases([[source] for source in self.sources])
        return [named.get(source, other) for source, other in zip(self.sources, others, strict=True)]

    def _load_network(self) -> nn.Module:
        network: nn.Module = self._get("network")
        network.load_state_dict(read_weights(self.weights, network))
        return network.eval().requires_grad_(False)


@contextmanager
def _quiet_inverse() -> Iterator[None]:
    """Hide the warning of MONAI's own call, the inverse of an orientation in 2D; the data are fine."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="axcodes")
        yield
