from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.data.errors import InputError
from pipeline.inference import check_weights
from pipeline.networks import VNet
from pipeline.networks.spec_file import save_weights


def network(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, width, 3), nn.PReLU(width))


def test_weights_of_this_network_pass(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "model.pt")
    check_weights(tmp_path / "model.pt", network())


SPEC = {"name": "made up"}


def test_outputs_in_another_order_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save_weights(network().state_dict(), path, SPEC, ["background", "liver", "spleen"])
    check_weights(path, network(), ["background", "liver", "spleen"])
    with pytest.raises(InputError) as caught:
        check_weights(path, network(), ["background", "spleen", "liver"])
    said = str(caught.value)
    assert "weights whose output channels are background, liver, spleen" in said
    assert "expected the bundle's: background, spleen, liver" in said
    assert "put liver, spleen into the order of the weights" in said


@pytest.mark.parametrize("outputs", [["background", "hepar", "spleen"], ["a", "b", "c"]])
def test_new_names_of_outputs_are_taken(tmp_path: Path, outputs: list[str]) -> None:
    save_weights(network().state_dict(), tmp_path / "model.pt", SPEC, ["background", "liver", "spleen"])
    check_weights(tmp_path / "model.pt", network(), outputs)


def test_weights_without_names_of_outputs_are_taken(tmp_path: Path) -> None:
    save_weights(network().state_dict(), tmp_path / "model.pt", SPEC)
    check_weights(tmp_path / "model.pt", network(), ["background", "liver"])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no such file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git-LFS pointer"),
        (b"", "cannot load"),
        (b"PK\x03\x04 cut off", "cannot load"),
        (network(width=8).state_dict(), "3 tensors that differ, first 0.weight: (8, 1, 3, 3, 3)"),
        (nn.Conv3d(1, 4, 3).state_dict(), "5 tensors that differ"),
        ([1, 2], "3 tensors that differ, first 0.weight: missing"),
        ({**network().state_dict(), "epoch": 3}, "1 tensor that differs, first epoch: int instead of a tensor"),
        ({**network().state_dict(), "0.bias": [0.0]}, "1 tensor that differs, first 0.bias: list instead of a tensor"),
        ({"state_dict": network().state_dict()}, "4 tensors that differ, first 0.weight: missing"),
        ({"network": network().state_dict()}, "4 tensors that differ, first 0.weight: missing"),
    ],
    ids=[
        *("missing", "lfs", "empty", "truncated", "wider", "other layers", "a list"),
        *("an epoch too", "a list as tensor", "under state_dict", "under network"),
    ],
)
def test_anything_else_is_named(tmp_path: Path, content: object, found: str) -> None:
    path = tmp_path / "model.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(InputError) as caught:
        check_weights(path, network())
    assert str(path) in str(caught.value)
    assert found in str(caught.value)


def test_a_whole_pickled_network_is_refused_unrun(tmp_path: Path) -> None:
    # Anything but tensors and plain values could run code when loaded.
    torch.save(network(), tmp_path / "model.pt")
    with pytest.raises(InputError, match="cannot load"):
        check_weights(tmp_path / "model.pt", network())


def test_configs_that_do_not_read_the_weights_network_are_to_be_rendered_again(tmp_path: Path) -> None:
    def shapes(skip: str) -> VNet:
        return VNet(2, 1, 2, (2, 4), (1, 1), (1,), skip=skip)

    trained = shapes("concat")
    save_weights(trained.state_dict(), tmp_path / "model.pt", trained.spec)
    check_weights(tmp_path / "model.pt", shapes("concat"))
    with pytest.raises(
        InputError,
        match=r"tensors? that differ.*the network in model\.json \(skip 'concat'\): lightskip "
        "render BUNDLE",
    ):
        check_weights(tmp_path / "model.pt", shapes("none"))
    # Without the spec nothing says that configs were rendered before.
    (tmp_path / "model.json").unlink()
    with pytest.raises(InputError, match="use weights that were trained with these settings"):
        check_weights(tmp_path / "model.pt", shapes("none"))


def test_the_last_state_of_a_training_is_recognised(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    state = {"network": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 7, "best_metric": 0.5}
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(InputError) as caught:
        check_weights(tmp_path / "last.pt", model)
    assert caught.value.where == tmp_path / "last.pt"
    assert "last.pt" in caught.value.found
    assert f"--checkpoint {tmp_path / 'model.pt'}" in caught.value.remedy


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weights = network().state_dict()
    weights["1.weight"][2] = torch.nan
    torch.save(weights, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt: found weights that are not finite .*, first in 1\.weight"):
        check_weights(tmp_path / "model.pt", network())


def test_infinity_that_a_new_network_has_as_well_is_meant(tmp_path: Path) -> None:
    masked = network()
    masked.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    torch.save(masked.state_dict(), tmp_path / "model.pt")
    check_weights(tmp_path / "model.pt", masked)
