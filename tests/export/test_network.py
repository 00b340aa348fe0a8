from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pipeline.bundle.plan import load_plan
from pipeline.bundle.render import write_rendered
from pipeline.data.errors import InputError
from pipeline.export.network import ExportedNetwork, load_network
from pipeline.networks import Skip, VNet
from pipeline.networks.spec_file import save_weights

PLAN = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml"
HARD = ["sat", {"select": "hard"}]
OWN = """\
from pipeline.networks import Skip, SkipConnection

@Skip.register("own_of_a_test")
class OwnSkip(SkipConnection):
    def __init__(self, spatial_dims, encoder_channels, decoder_channels):
        super().__init__(decoder_channels=decoder_channels, transferred_channels=encoder_channels)

    def transfer(self, kept, decoder):
        return kept
"""


def network_of(skip: Any, seed: int = 0) -> VNet:
    torch.manual_seed(seed)
    return VNet(
        3, 1, 4, (4, 6, 8), (1, 2, 2), (1, 1), 3, norm=("instance", {"affine": True}),
        act=("leakyrelu", {"negative_slope": 0.01}), skip=skip, residual="decoder", head="pointwise",
    ).eval()  # fmt: skip


def make_bundle(folder: Path, skip: Any, imports: list[str] | None = None) -> Path:
    plan = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    plan |= {"skip": {"skip": skip}, "imports": imports or []}
    plan["network"]["channels"] = [4, 6, 8]
    folder.mkdir()
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    write_rendered(folder)
    return folder


def load(bundle: Path, checkpoint: Path | None = None) -> ExportedNetwork:
    return load_network(bundle, load_plan(bundle), checkpoint)


def save(network: VNet, file: Path) -> Path:
    file.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), file)
    return file


@pytest.fixture
def clean() -> Iterator[None]:
    """Modules, their path and the registry as before the test."""
    components, modules, path = dict(Skip.components), set(sys.modules), list(sys.path)
    yield
    Skip.components.clear()
    Skip.components.update(components)
    for name in set(sys.modules) - modules:
        if name.endswith("of_a_test"):
            del sys.modules[name]
    assert sys.path == path


def test_weights_are_the_bundles_own(tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "sat")
    network = network_of("sat")
    file = save(network, bundle / "models" / "model.pt")
    made = load(bundle)
    assert made.source == file
    assert not made.is_pruned
    assert made.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in made.pruned.weights.items())
    assert made.skip_modules == ["pipeline.networks.select_attend_transfer"]
    assert made.user_modules == []


def test_other_weights_may_be_named(tmp_path):
    bundle = make_bundle(tmp_path / "bundle", ["sat", "concat"])
    save(network_of(["sat", "concat"]), bundle / "models" / "model.pt")
    other = network_of(["sat", "concat"], seed=1)
    made = load(bundle, save(other, tmp_path / "other.pt"))
    assert torch.equal(made.pruned.weights["head.weight"], other.head.weight)
    assert made.source == tmp_path / "other.pt"
    # A module of LightSkip registers both kinds of skip.
    assert made.skip_modules == ["pipeline.networks.select_attend_transfer", "pipeline.networks.skips"]


def test_weights_say_which_network_they_are_of(tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "sat")
    other = network_of("concat")
    save_weights(other.state_dict(), tmp_path / "model.pt", other.spec)
    made = load(bundle, tmp_path / "model.pt")
    assert made.pruned.spec == other.spec
    assert (made.title, made.channels) == ("V-Net", (4, 6, 8))
    assert made.target == "pipeline.networks.vnet.VNet"
    assert made.skip_modules == ["pipeline.networks.skips"]


def test_a_window_that_their_network_does_not_take_is_refused(tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "sat")
    deep = VNet(3, 1, 4, (2,) * 8, kernel_size=3, norm="instance")
    save_weights(deep.state_dict(), tmp_path / "model.pt", deep.spec)
    with pytest.raises(InputError, match=r"window: found .* does not accept; expected multiples of \(128, 128, 128\)"):
        load(bundle, tmp_path / "model.pt")


def test_hard_selection_is_pruned_and_counted(tmp_path):
    bundle = make_bundle(tmp_path / "bundle", HARD)
    network = network_of(HARD)
    with torch.no_grad():
        network.decoder[0].skip.select.weight[1:3] = 0.01
    made = load(bundle, save(network, tmp_path / "model.pt"))
    assert made.is_pruned
    assert made.pruned.left_out == {1: (2, 6)}
    smaller = network_of(made.pruned.spec["skip"])
    smaller.load_state_dict(made.pruned.weights)
    assert made.parameters == sum(parameter.numel() for parameter in smaller.parameters())
    x = torch.randn(1, 1, 8, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(smaller(x), network(x), rtol=0, atol=1e-6)


def test_buffers_are_no_parameters(tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "concat")
    plan = yaml.safe_load((bundle / "plan.yaml").read_text())
    plan["network"]["norm"] = "batch"
    (bundle / "plan.yaml").write_text(yaml.safe_dump(plan))
    write_rendered(bundle)
    network = VNet(
        3, 1, 4, (4, 6, 8), (1, 2, 2), (1, 1), 3, norm="batch", act=("leakyrelu", {"negative_slope": 0.01}),
        skip="concat", residual="decoder", head="pointwise",
    )  # fmt: skip
    made = load(bundle, save(network, tmp_path / "model.pt"))
    assert made.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert len(made.pruned.weights) > len(list(network.parameters()))


def test_ones_own_skip_connection_is_found_beside_the_plan(tmp_path, clean):
    bundle = make_bundle(tmp_path / "bundle", ["own_of_a_test", "none"], ["skips_of_a_test"])
    (bundle / "skips_of_a_test.py").write_text(OWN)
    weights = save(network_of(["concat", "none"]), tmp_path / "model.pt")
    made = load(bundle, weights)
    assert made.user_modules == [bundle / "skips_of_a_test.py"]
    assert made.skip_modules == ["pipeline.networks.skips"]


def test_a_module_from_elsewhere_cannot_be_carried(tmp_path, clean, monkeypatch):
    bundle = make_bundle(tmp_path / "bundle", "own_of_a_test", ["elsewhere_of_a_test"])
    (tmp_path / "elsewhere_of_a_test.py").write_text(OWN)
    weights = save(network_of("concat"), tmp_path / "model.pt")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        with pytest.raises(InputError, match=r"elsewhere_of_a_test\.py: found no such file.*copy the module there"):
            load(bundle, weights)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, r"missing_of_a_test, which cannot be imported \(ModuleNotFoundError: .*put missing_of_a_test.py there"),
        ("1 / 0\n", r"missing_of_a_test, which cannot be imported \(ZeroDivisionError: division by zero\)"),
        ("x = \n", r"missing_of_a_test, which cannot be imported \(SyntaxError: "),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(tmp_path, clean, text, found):
    bundle = make_bundle(tmp_path / "bundle", "sat", ["missing_of_a_test"])
    if text is not None:
        (bundle / "missing_of_a_test.py").write_text(text)
    with pytest.raises(InputError, match=rf"plan\.yaml, imports: found the module {found}"):
        load(bundle, save(network_of("sat"), tmp_path / "model.pt"))


@pytest.mark.parametrize("skip", ["satt", ["sat", {"mapps": 4}]])
def test_a_network_that_cannot_be_built_is_told(tmp_path, skip):
    bundle = make_bundle(tmp_path / "bundle", skip)
    with pytest.raises(
        InputError, match=r"inference\.json: found settings from which the network cannot be built: .*(satt|mapps)"
    ):
        load(bundle, save(network_of("sat"), tmp_path / "model.pt"))


def test_missing_weights_are_told(tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "sat")
    with pytest.raises(InputError, match=r"models/model\.pt: found no such file, and no training"):
        load(bundle)
    with pytest.raises(InputError, match=r"nothing\.pt: found no such file"):
        load(bundle, tmp_path / "nothing.pt")


@pytest.mark.parametrize("content", ["other network", "no weights", "text"])
def test_weights_of_something_else_are_refused(tmp_path, content):
    bundle = make_bundle(tmp_path / "bundle", "sat")
    file = tmp_path / "model.pt"
    if content == "text":
        file.write_text("weights")
    else:
        torch.save(network_of("concat").state_dict() if content == "other network" else [1, 2], file)
    with pytest.raises(InputError, match=r"model\.pt: found "):
        load(bundle, file)
