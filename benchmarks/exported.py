"""Measure an exported bundle: its size, the load time of its forms, and the difference of their results.

    python benchmarks/exported.py EXPORTED                             # sizes and load times
    python benchmarks/exported.py EXPORTED --dataset_dir Task04_Hippocampus   # also logits and label maps of real scans

Every load is in its own process and timed after the imports. The scans are those of fold 0 of the bundle's own
datalist. The bundle's inference.json prepares them and cuts windows through MONAI, in float32, with each form as the
network.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from measure import RESULTS, header, say, write_json
from monai.bundle import ConfigParser
from monai.bundle.scripts import load as load_bundle

from pipeline.export.archive import list_files
from pipeline.export.compare import load_form
from pipeline.quiet import quiet_monai

__all__ = ["main"]

FORMS = ("model.pt", "model.ts", "model.pt2", "model.onnx")


def main() -> int:
    """Measure, print and write the results."""
    options = _options()
    if options.load is not None:
        say(str(_load_seconds(options.exported, options.load)))
        return 0
    torch.set_num_threads(options.threads)
    files = {name: path.stat().st_size for name, path in list_files(options.exported)}
    zips = options.exported.parent.glob(f"{options.exported.name}_v*.zip")
    results: dict[str, Any] = {
        "bundle": options.exported.name,
        "folder_mb": sum(files.values()) / 1e6,
        "files": len(files),
        "zip_mb": {zip_.name: zip_.stat().st_size / 1e6 for zip_ in zips},
        "forms": {name: _form(options, name, files) for name in FORMS if f"models/{name}" in files},
    }
    if options.dataset_dir is not None:
        results["scans"] = _scans(options)
    _report(results)
    output = options.output or RESULTS / "exported.json"
    write_json(output, header("exported", options) | results)
    say(f"\n{output}")
    return 0


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", type=Path, help="an exported bundle's folder")
    parser.add_argument("--dataset_dir", type=Path, help="its dataset, to compare the forms on")
    parser.add_argument("--cases", type=int, default=42, help="number of cases of fold 0 [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5, help="loads of each form [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's threads [%(default)s]")
    parser.add_argument("--device", choices=("cpu",), default="cpu", help=argparse.SUPPRESS)
    parser.add_argument("--load", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, help="JSON file [benchmarks/results/exported.json]")
    return parser.parse_args()


def _form(options: Any, name: str, files: dict[str, int]) -> dict[str, Any]:
    command = [sys.executable, __file__, str(options.exported), "--load", name]
    seconds = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
        for _ in range(options.rounds)
    ]
    return {"mb": files[f"models/{name}"] / 1e6, "load_s": statistics.median(seconds), "rounds": seconds}


def _load_seconds(exported: Path, name: str) -> float:
    if name == "model.onnx":
        import onnxruntime  # type: ignore[import-untyped]  # noqa: F401, PLC0415
    started = time.perf_counter()
    if name == "model.pt":
        with quiet_monai():
            load_bundle(exported.name, bundle_dir=str(exported.parent), device="cpu")
    else:
        load_form(exported / "models" / name)
    return time.perf_counter() - started


def _scans(options: Any) -> dict[str, Any]:
    """Return each form's maximum difference of logits and number of voxels with another label, over the scans."""
    with quiet_monai():
        parser = _parser(options.exported)
        train = ConfigParser()
        train.read_config(str(options.exported / "configs" / "train.json"))
        train.config.update({"bundle_root": str(options.exported), "dataset_dir": str(options.dataset_dir)})
        images = [case["image"] for case in train.get_parsed_content("val_cases")][: options.cases]
    prepare, inferer = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("inferer")
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(torch.load(options.exported / "models" / "model.pt", weights_only=True))
    forms = {name: load_form(options.exported / "models" / name) for name in FORMS[1:]}
    found: dict[str, Any] = {name: {"largest_logit_difference": 0.0, "voxels_of_another_label": 0} for name in forms}
    voxels = 0
    with torch.inference_mode():
        for image in images:
            scan = prepare({"image": image})["image"].as_tensor()[None]
            expected = inferer(scan, network)
            voxels += expected[0, 0].numel()
            for name, form in forms.items():
                logits = inferer(scan, form)
                entry = found[name]
                difference = float((logits - expected).abs().max())
                entry["largest_logit_difference"] = max(entry["largest_logit_difference"], difference)
                entry["voxels_of_another_label"] += int((logits.argmax(1) != expected.argmax(1)).sum())
    return {"cases": len(images), "voxels": voxels, "forms": found}


def _parser(exported: Path) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(exported / "configs" / "inference.json"))
    parser.config.update({"bundle_root": str(exported), "device": "cpu"})
    return parser


def _report(results: dict[str, Any]) -> None:
    say(f"{results['bundle']}: {results['files']} files, {results['folder_mb']:.1f} MB")
    for name, size in results["zip_mb"].items():
        say(f"{name}: {size:.1f} MB")
    for name, form in results["forms"].items():
        say(f"{name:<12}{form['mb']:>6.1f} MB   loaded in {form['load_s']:.2f} s")
    if "scans" in results:
        scans = results["scans"]
        say(f"\n{scans['cases']} scans, {scans['voxels']} voxels, against PyTorch with model.pt:")
        for name, entry in scans["forms"].items():
            other = entry["voxels_of_another_label"]
            say(f"{name:<12}logits within {entry['largest_logit_difference']:.1e}, {other} voxels with another label")


if __name__ == "__main__":
    sys.exit(main())
