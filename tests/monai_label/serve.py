"""MONAI Label loads an exported bundle, serves it over HTTP and trains it: ``python serve.py BUNDLE SCANS WORK``.

Runs in MONAI Label's own environment, where LightSkip is not installed: ``make test-monai-label`` makes it. Nothing is
fetched from the network. What comes back for each scan must be what MONAI's runner makes of it: voxels and place.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import requests

_START_SECONDS = 120
_TRAIN_SECONDS = 300
_REQUEST_SECONDS = 120
_LABEL = (sys.executable, "-m", "monailabel.main")


def main() -> int:
    options = _options()
    bundle, scans = options.bundle.resolve(), sorted(options.scans.resolve().glob("*.nii.gz"))
    work = options.work.resolve()
    if not (bundle / "configs" / "inference.json").is_file():
        sys.exit(f"error: {bundle} has no configs/inference.json: give the folder that `lightskip export` made")
    if len(scans) < 2:
        sys.exit(
            f"error: {options.scans} has {len(scans)} *.nii.gz files; one to train with and one to validate are needed"
        )
    if work.exists():
        sys.exit(f"error: {work} exists already: give a new folder")

    app, studies = _app(bundle, work), work / "studies"
    studies.mkdir()
    for scan in scans:
        shutil.copyfile(scan, studies / scan.name)
    expected = _segmented_by_monai(app / "model" / bundle.name, studies, work / "monai")
    with _served(app, studies, bundle.name, work / "server.log") as url:
        labels = _check_info(requests.get(f"{url}/info/", timeout=_REQUEST_SECONDS).json(), bundle)
        _say(f"info: {bundle.name}, labels {labels}")
        seen: set[int] = set()
        for scan in scans:
            seen |= _check_scan(url, bundle.name, scan, expected[scan.name], work)
            _say(f"infer: {scan.name}, as MONAI's runner has it")
        _check(seen == {0, *labels.values()}, f"label values {sorted(seen)}: other scans would tell more")
        dice = _trained(url, bundle.name, app / "model" / bundle.name / "runs" / "model.pt")
        _say(f"train: one epoch on {len(scans)} saved label maps, validated: {dice}")
    return 0


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="folder of an exported bundle")
    parser.add_argument("scans", type=Path, help="folder of *.nii.gz scans")
    parser.add_argument("work", type=Path, help="new folder for the app, copies of the scans, results, the log")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _check(holds: bool, message: str) -> None:
    if not holds:
        sys.exit(f"error: {message}")


def _app(bundle: Path, work: Path) -> Path:
    """MONAI Label's own `monaibundle` app, with the bundle where it looks for models."""
    subprocess.run(
        [*_LABEL, "apps", "--name", "monaibundle", "--download", "--output", work],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    app = work / "monaibundle"
    shutil.copytree(bundle, app / "model" / bundle.name, ignore=shutil.ignore_patterns("runs"))
    return app


def _segmented_by_monai(bundle: Path, scans: Path, output: Path) -> dict[str, Path]:
    """The label map of each scan by the scan's name."""
    subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "monai.bundle", "run"),
            *("--config_file", bundle / "configs" / "inference.json", "--dataset_dir", scans, "--output_dir", output),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return {scan.name: output / scan.name.replace(".nii.gz", "_seg.nii.gz") for scan in scans.glob("*.nii.gz")}


@contextlib.contextmanager
def _served(app: Path, studies: Path, model: str, log: Path) -> Iterator[str]:
    """The address of a server that runs as long as the context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        *(*_LABEL, "start_server", "--app", app, "--studies", studies, "--host", "127.0.0.1", "--port", str(port)),
        # Any source but the default, which asks the network for the model zoo's list before it looks at the folder.
        *("--conf", "models", model, "--conf", "zoo_source", "local", "--conf", "sam2", "false"),
    ]
    environment = os.environ | {"MONAI_LABEL_SESSION_PATH": str(log.parent / "sessions")}
    with log.open("w") as lines:
        server = subprocess.Popen(command, stdout=lines, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait_for(url, server)
        yield url
    except BaseException:
        sys.stderr.write("".join(log.read_text().splitlines(keepends=True)[-25:]))
        raise
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        _check(server.poll() is None, "the server stopped while starting; the end of its log is above")
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{url}/info/", timeout=_REQUEST_SECONDS).ok:
                return
        time.sleep(0.5)
    sys.exit(f"error: the server did not answer within {_START_SECONDS} s")


def _check_info(info: dict[str, Any], bundle: Path) -> dict[str, int]:
    """The labels that a viewer offers: value by name."""
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    expected = {name.lower(): int(value) for value, name in channels.items() if value != "0"}
    model = info["models"][bundle.name]
    _check(model["labels"] == expected, f"labels {model['labels']} instead of {expected}")
    _check(model["version"] == metadata["version"], f"version {model['version']} instead of {metadata['version']}")
    _check(bundle.name in info["trainers"], f"no trainer for {bundle.name}: {list(info['trainers'])}")
    return expected


def _check_scan(url: str, model: str, scan: Path, expected: Path, work: Path) -> set[int]:
    """Have a scan segmented, compare, and save the label map as a person would who agrees. Its label values."""
    name = scan.name.removesuffix(".nii.gz")
    answer = requests.post(f"{url}/infer/{model}", params={"image": name, "output": "image"}, timeout=_REQUEST_SECONDS)
    _check(answer.ok, f"{scan.name}: the server answered {answer.status_code}, {answer.text[:200]}")
    file = work / f"{name}_served.nii.gz"
    file.write_bytes(answer.content)
    served, runner = nibabel.load(file), nibabel.load(expected)
    values, runners = np.asarray(served.dataobj), np.asarray(runner.dataobj)
    _check(values.shape == runners.shape, f"{scan.name}: {values.shape} instead of {runners.shape}")
    differ = int((values != runners).sum())
    _check(differ == 0, f"{scan.name}: {differ} of {values.size} voxels differ from MONAI's runner")
    away = float(np.abs(served.affine - nibabel.load(scan).affine).max())
    _check(away < 1e-4, f"{scan.name}: the affine is off by {away} mm")
    with file.open("rb") as content:
        saved = requests.put(
            f"{url}/datastore/label",
            params={"image": name, "tag": "final"},
            files={"label": (file.name, content)},
            timeout=_REQUEST_SECONDS,
        )
    _check(saved.ok, f"{scan.name}: saving its label map was answered with {saved.status_code}, {saved.text[:200]}")
    return {int(value) for value in np.unique(values)}


def _trained(url: str, model: str, checkpoint: Path) -> str:
    """Train for an epoch, in the background as a viewer has it done; the line that tells the validation's result."""
    settings = {"max_epochs": 1, "val_split": 0.5, "multi_gpu": False}
    answer = requests.post(f"{url}/train/{model}", json=settings, timeout=_REQUEST_SECONDS)
    _check(answer.ok, f"training: the server answered {answer.status_code}, {answer.text[:200]}")
    end = time.monotonic() + _TRAIN_SECONDS
    while (task := requests.get(f"{url}/train/", timeout=_REQUEST_SECONDS).json())["status"] in (
        "SUBMITTED",
        "RUNNING",
    ):
        _check(time.monotonic() < end, f"training took more than {_TRAIN_SECONDS} s")
        time.sleep(1)
    told = "\n".join(task["details"])
    _check(task["status"] == "DONE", f"training ended with {task['status']}:\n{told}")
    found = [line for line in task["details"] if "Key metric: val_mean_dice" in line]
    _check(checkpoint.is_file() and bool(found), f"training left no {checkpoint}:\n{told}")
    return found[-1].split(" - ")[-1]


if __name__ == "__main__":
    sys.exit(main())
