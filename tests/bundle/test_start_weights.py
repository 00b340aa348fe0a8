"""Weights to start from: read as data, refused where they cannot help, described where they do."""

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks.nets import VNet as MonaiVNet
from torch import Tensor, nn

from pipeline.bundle.start_weights import MIN_SHARE, network_to_start, read_start
from pipeline.data.errors import InputError
from pipeline.networks import VNet
from pipeline.networks.spec_file import save_weights

SMALL: dict[str, Any] = {"channels": (4, 6), "kernel_size": 3, "residual": "decoder", "head": "pointwise"}
BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


def build(out_channels: int = 3, seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    network: nn.Module = VNet(2, 1, out_channels, **{**SMALL, **options})
    return network


def make_bundle(folder: Path, labels: list[str], **changes: Any) -> Path:
    """Write the metadata and the preprocessing of a bundle."""
    (folder / "configs").mkdir(parents=True)
    formats = {
        "inputs": {"image": {"modality": "MRI", "channel_def": {"0": "T1"}}},
        "outputs": {"pred": {"channel_def": {str(place): name for place, name in enumerate(labels)}}},
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps({"network_data_format": formats}))
    steps = [{"_target_": "Spacingd", "pixdim": changes.get("spacing", [1.0, 1.0])}]
    (folder / "configs" / "inference.json").write_text(json.dumps({"preprocessing": {"transforms": steps}}))
    return folder


def save(content: Any, folder: Path) -> Path:
    file = folder / "models" / "model.pt"
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, file)
    return file


def test_no_weights_leave_the_network(tmp_path: Path) -> None:
    network = build()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert network_to_start(network, None, tmp_path) is network
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not hasattr(network, "started_from")


def test_what_fits_is_taken_and_described(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pipeline")
    source = make_bundle(tmp_path / "source", ["background", "liver", "spleen"])
    target = make_bundle(tmp_path / "target", ["background", "spleen", "tumour", "cyst"], spacing=[2.0, 2.0])
    other, network = build(), build(4, seed=1)
    network_to_start(network, save(other.state_dict(), source), target)
    now, theirs = network.state_dict(), other.state_dict()
    assert torch.equal(now["head.weight"][:2], theirs["head.weight"][[0, 2]])
    assert torch.equal(now["encoder.1.down.0.weight"], theirs["encoder.1.down.0.weight"])
    record: Any = network.started_from
    assert record["bundle"] == "source"
    assert record["parts"]["head"] == {"taken": 10, "of": 20}
    assert record["by_rule"] == dict.fromkeys(("head.weight", "head.bias"), "2 of 4 labels, by name")
    assert record["not_taken"] == {}
    assert record["notes"] == ["spacing: the weights learnt with [1.0, 1.0], this bundle has [2.0, 2.0]"]
    assert json.loads(json.dumps(record)) == record
    said = caplog.text
    assert "head.weight: 2 of 4 labels, by name" in said
    assert "note: spacing" in said


@pytest.mark.parametrize("form", ["plain", "model", "state_dict", "last", "module"])
def test_forms_of_files(form: str, tmp_path: Path) -> None:
    weights = build().state_dict()
    content = {
        "plain": weights,
        "model": {"model": weights},
        "state_dict": {"state_dict": weights, "epoch": 3},
        "last": {"network": build(seed=2).state_dict(), "average": weights, "optimizer": {"state": {}}, "epoch": 3},
        "module": {f"module.{name}": value for name, value in weights.items()},
    }[form]
    read = read_start(save(content, tmp_path))
    assert list(read) == list(weights)
    assert all(torch.equal(read[name], weights[name]) for name in weights)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('the pickle ran')",))


def write_pickle(file: Path) -> None:
    file.write_bytes(pickle.dumps(Evil()))


def write_torch_pickle(file: Path) -> None:
    torch.save({"a": Evil()}, file)


def write_script(file: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)), file)


def write_nan(file: Path) -> None:
    weights: dict[str, Tensor] = build().state_dict()
    weights["encoder.1.down.0.weight"][0, 0] = torch.nan
    torch.save(weights, file)


def write_as(kind: torch.dtype) -> Any:
    return lambda file: torch.save({name: value.to(kind) for name, value in build().state_dict().items()}, file)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("write", "found"),
    [
        (write_pickle, "exec"),
        (write_torch_pickle, "exec"),
        (write_script, "a program"),
        (write_nan, "not finite (NaN or infinity), first in encoder.1.down.0.weight"),
        (lambda file: file.write_bytes(b""), "an empty file"),
        (lambda file: file.write_bytes(b"no weights" * 100), "not loaded"),
        (lambda file: torch.save([1, 2], file), "without named tensors"),
        (lambda file: torch.save({"a": torch.zeros(3)}, file), "1 tensor that fits 0 %"),
        (write_as(torch.int64), "encoder.0.convs.0.0.weight: int64 instead of float32"),
        (write_as(torch.complex64), "encoder.0.convs.0.0.weight: complex64 instead of float32"),
    ],
    ids=[
        *("pickle", "pickle in torch's file", "TorchScript", "NaN", "empty", "text", "no tensors"),
        *("nothing in common", "whole numbers", "complex numbers"),
    ],
)
def test_weights_that_cannot_be_used(write: Any, found: str, tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    write(file)
    network = build()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(InputError) as raised:
        network_to_start(network, file, tmp_path)
    assert found in raised.value.found
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_numbers_that_are_too_large_for_the_network_are_refused(tmp_path: Path) -> None:
    torch.save({name: value.double() + 1e200 for name, value in build().state_dict().items()}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="weights that are not finite"):
        network_to_start(build(), tmp_path / "model.pt", tmp_path)


def test_too_little_names_the_settings_that_differ(tmp_path: Path) -> None:
    other: Any = build(channels=(8, 12))
    save_weights(other.state_dict(), tmp_path / "model.pt", other.spec)
    with pytest.raises(InputError) as raised:
        network_to_start(build(), tmp_path / "model.pt", tmp_path)
    assert f"at least {100 * MIN_SHARE:g} %" in raised.value.expected
    assert "channels [8, 12]" in raised.value.remedy
    assert "the first encoder.0.convs.0.0.weight: shape [8, 1, 3, 3] instead of [4, 1, 3, 3]" in raised.value.found


@pytest.mark.slow
def test_monais_vnet_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = MonaiVNet(3, 1, 2, act="prelu").eval()
    network = VNet(3, 1, 2, act="prelu")
    network_to_start(network, save({"model": reference.state_dict()}, tmp_path), tmp_path)
    assert network.started_from["network"] == "MONAI's VNet"
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(x), reference(x), rtol=0, atol=1e-5)


def test_the_shipped_weights_for_another_structure() -> None:
    network = VNet(
        3, 1, 4, channels=(16, 32, 64), convs_per_level=(1, 2, 2), decoder_convs_per_level=(1, 1), kernel_size=3,
        norm=("instance", {"affine": True}), act=("leakyrelu", {"negative_slope": 0.01}), residual="decoder",
        head="pointwise", skip="sat",
    )  # fmt: skip
    network_to_start(network, "hippocampus_mri", BUNDLES / "synthetic_shapes")
    assert network.started_from["share"] > 0.9
    assert network.started_from["by_rule"]["head.bias"] == "1 of 4 labels, by name"


def test_weights_of_an_unknown_network_name_the_known_ones(tmp_path: Path) -> None:
    from monai.networks.nets import DynUNet  # noqa: PLC0415

    other = DynUNet(2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], filters=[4, 8, 8])
    torch.save(other.state_dict(), tmp_path / "dynunet.pt")
    with pytest.raises(InputError) as raised:
        network_to_start(build(), tmp_path / "dynunet.pt", tmp_path)
    assert "of MONAI's networks the names of VNet and BasicUNet are known" in raised.value.remedy
