"""The network of an exported bundle as TorchScript, as an exported program and as ONNX.

Run as a process of its own: ``python -m pipeline.export.formats FOLDER NAME…``. It builds the network from the
folder's own config and code, as its users will, and what PyTorch numbers in a process (names of TorchScript classes)
begins anew, so that the same input gives the same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..data.errors import InputError
from .archive import EPOCH
from .compare import differences
from .norms import with_exact_norms

__all__ = ["FORMATS", "check_built", "write_formats"]

_TORCHSCRIPT, _PROGRAM, _ONNX = "model.ts", "model.pt2", "model.onnx"
FORMATS = (_TORCHSCRIPT, _PROGRAM, _ONNX)
_AXES = ("x", "y", "z")
# Sizes of a window, in units of the network's divisor; and cases in a batch.
_MOST_SIZE, _MOST_CASES = 256, 1024


def write_formats(folder: Path, formats: Sequence[str] = FORMATS) -> dict[str, float]:
    """Write the network of a bundle that has ``models/model.pt`` in other forms, beside it.

    Args:
        folder: an exported bundle.
        formats: some of :data:`FORMATS`.

    Returns:
        The largest difference of each form's logits from PyTorch's, by file name: see :func:`.compare.differences`.

    Raises:
        InputError: ``model.onnx`` is asked for and a package that makes it is not installed, or PyTorch cannot give the
            network one of the forms; its last words are quoted.
    """
    if not formats:
        check_built(folder)
        return {}
    if _ONNX in formats:
        _check_onnx()
    # -B: without compiled files beside the bundle's scripts.
    command = [sys.executable, "-B", "-m", __name__, str(folder.resolve()), *formats]
    # PyTorch writes sets in their own order, which is the hashes'.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise _refused(done.returncode, done.stdout.strip(), done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_built(folder: Path) -> None:
    """Make sure that the exported code builds the exported network, in this process and without a trace in it."""
    path, before = list(sys.path), set(sys.modules)
    try:
        _network(folder)
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]


def _refused(status: int, began: str, said: str) -> InputError:
    """What is told when the process ended: what it had begun, and its last words."""
    name = began.splitlines()[-1] if began else "the network"
    words = [line.strip() for line in said.splitlines() if line.strip()]
    if status < 0:
        return InputError(
            f"models/{name}",
            found=f"the process that made it was ended by signal {-status}",
            expected="enough memory, and nobody who ends it",
            remedy="try again, with less beside it",
        )
    ending = name.partition(".")[2]
    return InputError(
        f"models/{name}",
        found=f"PyTorch cannot write it: {words[-1] if words else f'exit status {status}'}",
        expected="a network that can be exported, and room on the disk",
        remedy=f"see to the room on the disk; or leave this form out: --without {ending or 'ts pt2 onnx'}; or, where "
        "the network has a skip connection of your own, write it without what depends on the values of its input",
    )


def _check_onnx() -> None:
    for package in ("onnx", "onnxscript"):
        try:
            __import__(package)
        except ImportError:
            raise InputError(
                "model.onnx",
                found=f"no package {package} in this environment",
                expected="onnx and onnxscript, which PyTorch's exporter needs",
                remedy="pip install 'lightskip[export]', or leave the form out with --without onnx",
            ) from None


def _main(folder: Path, formats: Sequence[str]) -> None:
    warnings.simplefilter("ignore")  # TorchScript's deprecation, at every module
    logging.disable(logging.WARNING)
    # Converters write progress to it.
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
    network, example, _ = _network(folder)
    files = [folder / "models" / name for name in formats]
    print(json.dumps(differences(network, files, example.shape[1:])), file=stdout)


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
    _without_source_paths(file)


def _without_source_paths(file: Path) -> None:
    """Leave out where the code's lines were on the machine that wrote it, and a number made from that."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith((".debug_pkl", "/.data/serialization_id"))]
        members = {name: archive.read(name) for name in names}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)


def _write_program(folder: Path) -> None:

    network, example, sizes = _network(folder)
    program = torch.export.export(network, (example,), dynamic_shapes=(sizes,), strict=False)
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            # Lines of this machine's files.
            node.meta.pop("stack_trace", None)
    program.example_inputs = None
    metadata = (folder / "configs" / "metadata.json").read_text(encoding="utf-8")
    torch.export.save(program, folder / "models" / _PROGRAM, extra_files={"metadata.json": metadata})


def _write_onnx(folder: Path) -> None:
    import onnx  # noqa: PLC0415

    network, example, sizes = _network(folder)
    made = torch.onnx.export(
        with_exact_norms(network),
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
        # Lines of this machine's files, names of modules.
        del part.metadata_props[:]
        part.doc_string = ""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, _properties(folder))
    metadata = _metadata(folder)
    model.graph.name, model.graph.doc_string = folder.name, metadata["description"]
    model.producer_name, model.doc_string = "PyTorch", metadata["task"]
    onnx.checker.check_model(model, full_check=True)
    (folder / "models" / _ONNX).write_bytes(model.SerializeToString(deterministic=True))


def _network(folder: Path) -> tuple[Any, Any, dict[int, Any]]:
    """The network with its weights, an example of its input, and which sizes of that are free."""
    from monai.bundle import ConfigParser  # noqa: PLC0415

    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser["bundle_root"] = str(folder)
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(folder / "models" / "model.pt", map_location="cpu", weights_only=True))
    window = _metadata(folder)["network_data_format"]["inputs"]["image"]["spatial_shape"]
    example = torch.zeros(2, parser["in_channels"], *window)
    sizes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=_MOST_CASES)}
    for axis, (divisor, name) in enumerate(zip(network.size_divisor, _AXES, strict=False), start=2):
        free = torch.export.Dim(name, min=1, max=_MOST_SIZE)
        sizes[axis] = free if divisor == 1 else divisor * free
    return network.eval(), example, sizes


def _properties(folder: Path) -> dict[str, str]:
    """What a program that has the ONNX file alone must know."""
    metadata = _metadata(folder)
    kept = ("name", "version", "task", "description", "intended_use", "authors", "copyright", "data_source")
    formats: Mapping[str, Any] = metadata["network_data_format"]
    config = json.loads((folder / "configs" / "inference.json").read_text(encoding="utf-8"))
    return {
        **{name: str(metadata[name]) for name in kept if name in metadata},
        "network_data_format": json.dumps(formats),
        "preprocessing": json.dumps(config["preprocessing"]),
        "inferer": json.dumps(config["inferer"]),
    }


def _metadata(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:])
