"""The verbs that the fault suite disturbs: their words, the words of a second start, and their results."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .started_verbs import run_verb

__all__ = ["QUICK_VERBS", "SMALL", "VERBS", "DisturbedVerb", "make_workspace"]

# A network and a training of milliseconds per step.
SMALL = [
    *("--epochs", "3", "--val_interval", "1", "--patch", "[16,16,16]", "--window", "[32,32,32]"),
    *("--samples_per_case", "1", "--network_def#channels", "[4,8,16]", "--network_def#convs_per_level", "[1,1,1]"),
]
STUDY = {
    "name": "small",
    "question": "Which skip?",
    "seeds": [0],
    "budget": {"epochs": 1},
    "arms": [
        {
            "bundle": "bundle",
            "networks": [
                {"name": "vnet", "channels": [2, 4], "convs_per_level": [1, 1], "decoder_convs_per_level": [1]}
            ],
            "skips": ["concat", "none"],
            "overrides": {"patch": [16, 16, 16], "window": [32, 32, 16]},
        }
    ],
}
# Names of the workspace that a verb may write to; everything else is an input.
TRAINING = "bundle/runs/fold_0"


@dataclass(frozen=True)
class DisturbedVerb:
    """A verb in a copy of the workspace.

    Args:
        name: its name in tables.
        words: its words.
        results: files and folders of the copy that it writes.
        again: its words after it was disturbed; by default the same ones.
        status: the exit statuses of a run that nothing disturbs.
        leave_out: patterns of results that no two runs have alike, such as logs.
        prepare: changes the copy before the verb.
    """

    name: str
    words: tuple[str, ...]
    results: tuple[str, ...]
    again: Callable[[Path], tuple[str, ...]] | None = None
    status: tuple[int, ...] = (0,)
    leave_out: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = field(default=lambda _folder: None)

    def words_again(self, folder: Path) -> tuple[str, ...]:
        """Return the words of a second start in the copy."""
        return self.words if self.again is None else self.again(folder)


def make_workspace(folder: Path, log: Path) -> Path:
    """Make the inputs of all verbs: a sample, its datalist, a trained and measured bundle, predictions, an export.

    Raises:
        RuntimeError: a verb failed.
    """
    folder.mkdir(parents=True)
    for words in (
        "sample data --cases 5 --scans 3",
        "datalist data -o list.json",
        "check list.json -o checked",
        "bundles copy synthetic_shapes -o bundle",
        ["train", "bundle", "--dataset_dir", "data", *SMALL],
        "evaluate bundle --dataset_dir data --predictions_dir bundle/predictions --runtime pytorch",
        "predict bundle data/imagesTs -o predicted --runtime pytorch",
        "export bundle -o exported --without ts pt2 onnx",
    ):
        ended = run_verb(words.split() if isinstance(words, str) else words, folder, log)
        if ended.status:
            raise RuntimeError(f"lightskip {words}: exit status {ended.status}\n{ended.text}")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return folder


def _train(*more: str) -> tuple[str, ...]:
    return ("train", "bundle", "--dataset_dir", "data", *SMALL, "--ckpt_dir", "trained", *more)


def _resume(folder: Path) -> tuple[str, ...]:
    return _train("--resume") if (folder / "trained" / "last.pt").is_file() else _train()


def _overwrite(_folder: Path) -> tuple[str, ...]:
    # It may have come to its end.
    return ("export", "bundle", "-o", "out", "--without", "ts", "pt2", "onnx", "--overwrite")


def _plan_anew(folder: Path) -> tuple[str, ...]:
    # A bundle that it made before it was killed is whole, and is not replaced.
    shutil.rmtree(folder / "out", ignore_errors=True)
    return tuple(_PLAN.split())


def _lower_rate(folder: Path) -> None:
    """Change the plan, so that rendering has something to write."""
    plan = folder / "bundle" / "plan.yaml"
    plan.write_text(plan.read_text().replace("weight_decay:", "weight_decay: 0.002 #", 1))


def _without_results(folder: Path) -> None:
    shutil.rmtree(folder / "predicted")


# So many hours that the patch does not depend on the machine's speed.
_PLAN = "plan list.json --name mine -o out --check checked --hours 1000 --memory 2GB --device cpu"
_PREDICT = "bundle data/imagesTs -o predicted --runtime pytorch --statistics --probabilities"


def _verb(name: str, words: str, *results: str, **more: object) -> DisturbedVerb:
    return DisturbedVerb(name, tuple(words.split()), results, **more)  # type: ignore[arg-type]


VERBS: tuple[DisturbedVerb, ...] = (
    _verb("sample", "sample out --cases 4 --scans 2", "out"),
    _verb("datalist", "datalist data -o out.json", "out.json"),
    _verb("check", "check list.json -o out", "out", leave_out=("*.html", "cases.jsonl")),
    _verb("check --fix", "check list.json -o out --fix fixed", "out", leave_out=("*.html", "cases.jsonl")),
    _verb("plan", _PLAN, "out", again=_plan_anew),
    _verb("render", "render bundle", "bundle/configs", prepare=_lower_rate),
    DisturbedVerb("train", _train(), ("trained",), _resume, leave_out=("*tensorboard*", "*.log", "previous_*")),
    _verb(
        "evaluate",
        "evaluate bundle --dataset_dir data --output_dir out --predictions_dir predictions --runtime pytorch",
        "out",
        "predictions",
    ),
    _verb("postprocess", "postprocess bundle --dataset_dir data", "bundle/plan.yaml", "bundle/configs"),
    _verb("quantize", "quantize bundle --dataset_dir data --cases 1", "bundle/models", status=(0, 1)),
    _verb(
        "predict",
        f"predict {_PREDICT}",
        "predicted",
        prepare=_without_results,
        leave_out=(".predicted/*", "report.json"),
    ),
    _verb(
        "cohort",
        f"cohort {_PREDICT} --shards 2 -j 1",
        "predicted",
        prepare=_without_results,
        leave_out=(".*/*", "report.json"),
    ),
    _verb("compare", "compare data/labelsTs a=predicted -o out", "out"),
    _verb("probe", "probe bundle -o out --dataset_dir data --probes off", "out"),
    _verb("report", "report predicted -o out.html --no-viewer", "out.html"),
    _verb(
        "picture",
        "picture data/imagesTs/scan_000.nii.gz -o out.png --labels a=predicted/scan_000_seg.nii.gz",
        "out.png",
    ),
    _verb("curve", f"curve {TRAINING}/history.csv -o out.png", "out.png"),
    _verb("export", "export bundle -o out --without ts pt2 onnx", "out", again=_overwrite),
    _verb("import", "import exported/synthetic_shapes_v0.1.0.zip -o out --yes", "out"),
    _verb("bench", "bench bundle --steps 1 --warmup 0 --cases 1 -o out.json", "out.json", leave_out=("*",)),
    # Its training has as many steps as its time allows.
    _verb(
        "fit",
        "fit data -o out --hours 0.005",
        "out/datalist.json",
        "out/bundle/plan.yaml",
        "out/report.html",
        leave_out=("*",),
    ),
    _verb(
        "study",
        "study study.yaml -o out --dataset_dir bundle=data --yes",
        "out",
        # Trainings, logs, what Snakemake keeps for itself, and pages with times.
        leave_out=("trainings/*", ".*/*", "study.md", "study.html"),
    ),
)
# Those whose run takes a second or two: for the quick part of the suite.
QUICK_VERBS: tuple[DisturbedVerb, ...] = tuple(
    verb
    for verb in VERBS
    if verb.name in {"sample", "datalist", "check", "render", "predict", "compare", "export", "train"}
)
