"""Starts Python programs in processes that have PyTorch and MONAI imported already, which saves seconds at each start.

The fixture `warm_start` runs this file once per test process. Each line that it reads is a request in JSON; it forks,
the child becomes the program, and the answer is a line with the program's exit status. Nothing but imports happens
before the fork, so that no thread is running then.
"""

import gc
import json
import os
import runpy
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

HEAVY = (
    "monai.bundle",
    "monai.engines",
    "monai.handlers",
    "monai.inferers",
    "monai.losses",
    "monai.networks.nets",
    "monai.transforms",
    "ignite.metrics",
    "skimage.measure",
    "torch.utils.tensorboard",
    "pipeline.bundle",
    "pipeline.evaluation.case_report",
    "pipeline.evaluation.present_dice",
    "pipeline.inference",
    "pipeline.training",
)


def receive_request() -> dict[str, Any] | None:
    """Serve requests; return one in the child that is to run it, and None in this process when there are no more."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            request: dict[str, Any] = json.loads(line)
            return request
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return None


def enter(request: dict[str, Any]) -> list[str]:
    """Take the request's folder, environment and files of output; return the words after Python's own options."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, path in enumerate((os.devnull, request["out"], request["err"])):
        os.dup2(os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY), number)
    words: list[str] = request["words"]
    if words[:2] == ["-W", "ignore"]:
        warnings.simplefilter("ignore")
        words = words[2:]
    return words


def run(words: list[str]) -> None:
    """Run ``-m module ...`` or ``script.py ...`` as Python itself would."""
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], str(Path.cwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = words, str(Path(words[0]).resolve().parent)
        runpy.run_path(words[0], run_name="__main__")


sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
gc.disable()
for name in HEAVY:
    import_module(name)
if len(list(Path("/proc/self/task").iterdir())) > 1:
    sys.exit("found threads after the imports; expected none, as a forked process may wait for them for ever")
# No child looks for garbage among what it shares with this process.
gc.freeze()
gc.enable()
if (wanted := receive_request()) is not None:
    run(enter(wanted))
