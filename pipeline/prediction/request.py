"""The options and the result of one call of ``lightskip predict``. Needs neither torch nor MONAI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .bundle_files import BundleFiles
from .outputs import Outputs, Wanted, is_output_file
from .result import Result
from .shards import Shard

__all__ = ["Request", "Summary"]

_STATUSES = (
    ("skipped", "finished earlier"),
    ("failed", "failed"),
    ("not tried", "not segmented, as the disk is full or read-only"),
)


@dataclass(frozen=True)
class Request:
    """The options of one call of ``lightskip predict``.

    Attributes:
        bundle: the bundle's folder, or its name: one that `lightskip bundles` lists.
        inputs: files, folders, datalists.
        output: a folder; or a file, for one scan.
        wanted: the files to write for every scan.
        checkpoints: weights instead of the bundle's own; the probabilities of several are averaged.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        tta: average over mirrored inputs.
        dropout_samples: passes with dropout to average over; 1: one pass without.
        fast: use fewer windows.
        memory: bytes that the process may take; None: no limit.
        threads: CPU threads; None: PyTorch's choice.
        postprocessing: whether to post-process label maps as the bundle declares.
        overwrite: repeat finished scans, and replace files.
        settings: overrides of the inference config, by id.
        runtime: ``"auto"``, ``"pytorch"``, ``"openvino"`` or ``"int8"``.
        progress: whether to draw a bar.
        shard: the share of the scans to segment; None: all.
        anyway: whether to segment scans that are unlike the training scans beyond reason.
        series: the number, description or unique identifier of the DICOM series to segment; "": there is only one.
        outside: whether a datalist among the inputs may name files outside its folder.
    """

    bundle: Path
    inputs: Sequence[str | Path]
    output: Path
    wanted: Wanted = field(default_factory=Wanted)
    checkpoints: Sequence[str | Path] = ()
    device: str = "auto"
    tta: bool = False
    dropout_samples: int = 1
    fast: bool = False
    memory: int | None = None
    threads: int | None = None
    postprocessing: bool = True
    overwrite: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    runtime: str = "auto"
    progress: bool = True
    shard: Shard | None = None
    anyway: bool = False
    series: str = ""
    outside: bool = False

    @property
    def computing(self) -> dict[str, Any]:
        """The options that `read_bundle_files` and `Predictor` both take, besides the weights."""
        return {
            "device": self.device,
            "tta": self.tta,
            "dropout_samples": self.dropout_samples,
            "fast": self.fast,
            "settings": self.settings,
            "runtime": self.runtime,
        }

    def for_bundle(self, files: BundleFiles) -> Request:
        """Return the request with the names of the bundle's regions, if files of them are wanted.

        Raises:
            InputError: they are wanted, and the bundle has none, or the format cannot hold them.
        """
        return replace(self, wanted=self.wanted.for_regions(files.regions))

    @property
    def single(self) -> bool:
        """Whether the output is the label map of the only scan."""
        return is_output_file(self.output)

    @property
    def outputs_for(self) -> Callable[[str], Outputs]:
        """The function that returns a scan's outputs by the scan's name."""
        if self.single:
            return lambda _: Outputs.at(self.output, self.wanted)
        return lambda name: Outputs.of(name, self.output, self.wanted)


@dataclass(frozen=True)
class Summary:
    """The results of one call of ``lightskip predict``.

    Attributes:
        results: one per scan, in the order of the inputs, other processes' results included.
        report: the report's content.
        report_file: the report's file; None for a single output file.
        first: whether this process reports for all processes.
        note: what else to know, such as other shards.
    """

    results: tuple[Result, ...]
    report: Mapping[str, Any]
    report_file: Path | None
    first: bool = True
    note: str = ""

    @property
    def status(self) -> int:
        """Exit status: 0 if all succeeded, 1 if some failed or the disk is full or broken, else 2."""
        failed = [result for result in self.results if result.status == "failed"]
        if not failed:
            return 0
        return 1 if len(failed) < len(self.results) or any(result.of_disk for result in failed) else 2

    @property
    def text(self) -> str:
        """The summary in one line."""
        counts = Counter("not tried" if result.not_tried else result.status for result in self.results)
        done = [f"{counts['done']} of {len(self.results)} segmented"]
        done += [f"{counts[status]} {text}" for status, text in _STATUSES if counts[status]]
        peak = self.report["peak_memory_bytes"]
        memory = f", at most {peak / 1e9:.2f} GB of memory" if peak else ""
        where = f"; report: {self.report_file}" if self.report_file else ""
        text = f"{', '.join(done)} in {self.report['seconds']:.1f} s{memory}{where}"
        if shard := self.report.get("shard"):
            empty = f"no scan, as there are only {shard['all_scans']}; " * (not self.results)
            text = f"shard {shard['number']}/{shard['count']}: {empty}{text}"
        text = f"{text}; {self.note}" if self.note else text
        one = self._only_label()
        return f"{text}\nnote: {one}" if one else text

    def _only_label(self) -> str:
        """Return a note if all label maps have one and the same label in every voxel; else an empty text."""
        done = [result for result in self.results if result.status != "failed"]
        labels = {result.only_label for result in done}
        if len(labels) != 1 or None in labels:
            return ""
        label = labels.pop()
        which = "the label map" if len(done) == 1 else f"all {len(done)} label maps"
        if label == "background":
            return f"{which} {'is' if len(done) == 1 else 'are'} empty: the network finds no label"
        return f"{which} {'has' if len(done) == 1 else 'have'} one label in every voxel, {label}"
