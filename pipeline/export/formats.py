"""Write the network of an exported bundle as TorchScript, as an exported program and as ONNX.

The module runs as a separate process: ``python -m pipeline.export.formats FOLDER NAME…``. The process builds the
network from the bundle's own config and code, as its users will. PyTorch's counters (in names of TorchScript classes)
start from zero there, so the same input gives the same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..data.errors import InputError
from ..data.json_file import read_json
from .archive import EPOCH
from .compare import compare_forms
from .norms import make_norms_exact

__all__ = ["FORMATS", "check_build", "write_formats"]

_TORCHSCRIPT, _PROGRAM, _ONNX = "model.ts", "model.pt2", "model.onnx"
FORMATS = (_TORCHSCRIPT, _PROGRAM, _ONNX)
_AXES = ("x", "y", "z")
# Size of a window in units of the network's divisor, and windows in a batch.
_MAX_SIZE, _MAX_CASES = 256, 1024


def write_formats(folder: Path, formats: Sequence[str] = FORMATS) -> dict[str, float]:
    """Write the network of ``models/model.pt`` in other forms, next to that file.

    Args:
        folder: an exported bundle.
        formats: some of :data:`FORMATS`.

    Returns:
        The largest difference between each form's logits and PyTorch's, by file name: see
        :func:`.compare.compare_forms`.

    Raises:
        InputError: a package that ``model.onnx`` needs is not installed, or PyTorch cannot write a form. The message
            quotes PyTorch's error.
    """
    if not formats:
        check_build(folder)
        return {}
    if _ONNX in formats:
        _require_onnx()
    # -B: no compiled files next to the bundle's scripts.
    command = [sys.executable, "-B", "-m", __name__, str(folder.resolve()), *formats]
    # PyTorch writes sets in the order of their hashes, which must not change from run to run.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise _explain_failure(done.returncode, done.stdout.strip(), done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_build(folder: Path) -> None:
    """Check that the exported code builds the exported network, and unload that code again."""
    path, before = list(sys.path), set(sys.modules)
    try:
        _build_network(folder)
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]


def _explain_failure(status: int, stdout: str, stderr: str) -> InputError:
    """Return the error for a failed export process: the form that it was writing, and the line with its error."""
    name = stdout.splitlines()[-1] if stdout else "the network"
    if status < 0:
        return InputError(
            f"models/{name}",
            found=f"signal {-status} ended the export process",
            expected="enough memory for the export process",
            remedy="close other programs and try again",
        )
    ending = name.partition(".")[2]
    return InputError(
        f"models/{name}",
        found=f"PyTorch cannot write it: {_find_error(stderr) or f'exit status {status}'}",
        expected="a network that PyTorch can export, and enough disk space",
        remedy=f"check the disk space, or leave this form out with --without {ending or 'ts pt2 onnx'}. If you wrote "
        "the network's skip connection, remove branches that depend on the values of its input",
    )


def _find_error(stderr: str) -> str:
    """Return the line that names an error, with the next one if it says no more; else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # TorchScript's messages go on for several lines, of which the last one has no words.
    at = max((i for i, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)), default=-1)
    message = lines[at:][:2]
    return " ".join(message if "".join(message[:1]).endswith(":") else message[:1])


def _require_onnx() -> None:
    for package in ("onnx", "onnxscript"):
        try:
            __import__(package)
        except ImportError:
            raise InputError(
                "model.onnx",
                found=f"no package {package} in this environment",
                expected="the packages onnx and onnxscript, which PyTorch's exporter needs",
                remedy="pip install 'lightskip[export]', or leave the form out with --without onnx",
            ) from None


def _main(folder: Path, formats: Sequence[str]) -> None:
    warnings.simplefilter("ignore")  # TorchScript warns of its deprecation at every module
    logging.disable(logging.WARNING)
    # Converters write their progress to stdout, which is for our caller.
    stdout, sys.stdout = sys.stdout, sys.stderr
    write: dict[str, Callable[[Path], None]] = {
        _TORCHSCRIPT: _write_torchscript,
        _PROGRAM: _write_program,
        _ONNX: _write_onnx,
    }
    for name in formats:
        print(name, file=stdout, flush=True)
        write[name](folder)
    print("comparison", file=stdout, flush=True)
    network, _, _ = _build_network(folder)
    files = [folder / "models" / name for name in formats]
    print(json.dumps(compare_forms(network, files, (network.in_channels, *_read_window(folder)))), file=stdout)


def _write_torchscript(folder: Path) -> None:
    from monai.bundle import ckpt_export  # noqa: PLC0415

    file = folder / "models" / _TORCHSCRIPT
    configs = folder / "configs"
    ckpt_export(
        net_id="network_def",
        filepath=str(file),
        ckpt_file=str(folder / "models" / "model.pt"),
        meta_file=str(configs / "metadata.json"),
        config_file=[str(configs / "inference.json")],
    )
    _strip_source_paths(file)


def _strip_source_paths(file: Path) -> None:
    """Remove the paths of this machine's source files, and an id computed from them."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith((".debug_pkl", "/.data/serialization_id"))]
        members = {name: archive.read(name) for name in names}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)


def _write_program(folder: Path) -> None:
    network, example, sizes = _build_network(folder)
    program = torch.export.export(network, (example,), dynamic_shapes=(sizes,), strict=False)
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            # Stack traces name this machine's files.
            node.meta.pop("stack_trace", None)
    program.example_inputs = None
    metadata = (folder / "configs" / "metadata.json").read_text(encoding="utf-8")
    torch.export.save(program, folder / "models" / _PROGRAM, extra_files={"metadata.json": metadata})


def _write_onnx(folder: Path) -> None:
    import onnx  # noqa: PLC0415

    network, example, sizes = _build_network(folder)
    made = torch.onnx.export(
        make_norms_exact(network),
        (example,),
        dynamo=True,
        dynamic_shapes=(sizes,),
        input_names=["image"],
        output_names=["pred"],
        verbose=False,
    )
    assert made is not None
    model = made.model_proto
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        # Both name this machine's files and modules.
        del part.metadata_props[:]
        part.doc_string = ""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, _make_properties(folder))
    metadata = _read_metadata(folder)
    model.graph.name, model.graph.doc_string = folder.name, metadata["description"]
    model.producer_name, model.doc_string = "PyTorch", metadata["task"]
    onnx.checker.check_model(model, full_check=True)
    (folder / "models" / _ONNX).write_bytes(model.SerializeToString(deterministic=True))


def _build_network(folder: Path) -> tuple[Any, Any, dict[int, Any]]:
    """Return the network with its weights, an example of its input, and the input's variable sizes by axis.

    The example is a batch of two windows, with more voxels along an axis of which the deepest level has only one.
    """
    from monai.bundle import ConfigParser  # noqa: PLC0415

    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    # Absolute, because MONAI evaluates a text that begins with "$".
    parser["bundle_root"] = str(folder.absolute())
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(folder / "models" / "model.pt", map_location="cpu", weights_only=True))
    # PyTorch takes a size of one for a constant.
    shape = [max(size, 2 * divisor) for size, divisor in zip(_read_window(folder), network.size_divisor, strict=True)]
    example = torch.zeros(2, network.in_channels, *shape)
    sizes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=_MAX_CASES)}
    for axis, (divisor, name) in enumerate(zip(network.size_divisor, _AXES, strict=False), start=2):
        free = torch.export.Dim(name, min=1, max=_MAX_SIZE)
        sizes[axis] = free if divisor == 1 else divisor * free
    return network.eval(), example, sizes


def _make_properties(folder: Path) -> dict[str, str]:
    """Return what a program needs to know that has the ONNX file alone."""
    metadata = _read_metadata(folder)
    kept = ("name", "version", "task", "description", "intended_use", "authors", "copyright", "data_source")
    formats: Mapping[str, Any] = metadata["network_data_format"]
    config = read_json(folder / "configs" / "inference.json")
    return {
        **{name: str(metadata[name]) for name in kept if name in metadata},
        "network_data_format": json.dumps(formats),
        "preprocessing": json.dumps(config["preprocessing"]),
        "inferer": json.dumps(config["inferer"]),
    }


def _read_window(folder: Path) -> list[int]:
    """Return the voxels of a window per axis."""
    window: list[int] = _read_metadata(folder)["network_data_format"]["inputs"]["image"]["spatial_shape"]
    return window


def _read_metadata(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(folder / "configs" / "metadata.json")
    return content


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:])
