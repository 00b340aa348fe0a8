"""The network of trained weights; tests/bundles/test_network_of_weights.py runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow
from torch import nn

from pipeline.bundle.trained_network import find_given_arguments, network_of_spec, network_of_weights, network_to_resume
from pipeline.data.errors import InputError
from pipeline.networks import VNet
from pipeline.networks.spec_file import save_weights

SMALL: dict[str, Any] = {"channels": (4, 6), "convs_per_level": (1, 1), "decoder_convs_per_level": (1,)}
FILE = Path("run/model.pt")


def network(**changed: Any) -> VNet:
    return VNet(2, **{"in_channels": 1, "out_channels": 3, "kernel_size": 3, "skip": "sum", **SMALL, **changed})


def spec(**changed: Any) -> dict[str, Any]:
    found = network(**changed).spec
    assert found is not None
    return found


def error(*arguments: Any, **given: Any) -> str:
    with pytest.raises(InputError) as raised:
        network_of_spec(*arguments, **given)
    return str(raised.value)


def test_the_spec_goes_before_the_config() -> None:
    own = network()
    assert network_of_spec(own, None, FILE) is own
    assert network_of_spec(own, spec(), FILE) is own
    assert network_of_spec(own, spec(), FILE, given={"skip", "_target_"}) is own
    other = network_of_spec(own, spec(skip="concat", channels=(2, 3)), FILE)
    assert other.spec == spec(skip="concat", channels=(2, 3))
    # As an older version wrote it, without an argument that was added since.
    older = {key: value for key, value in spec(skip="none").items() if key != "head"}
    assert network_of_spec(own, older, FILE).spec == spec(skip="none")
    older = {key: value for key, value in spec().items() if key != "recalibrate"}
    assert network_of_spec(own, older, FILE) is own


@pytest.mark.parametrize("same", ["SAT", ["sat", {}], ["sat"], ("sat",)])
def test_one_skip_may_be_said_in_several_ways(same: Any) -> None:
    network_of_spec(network(skip=same), spec(skip="sat"), FILE, given={"skip"})


def test_what_the_user_says_must_agree() -> None:
    message = error(network(), spec(skip="concat"), FILE, given={"skip"})
    assert message.startswith("run/model.pt: found weights of a network with skip 'concat'; expected skip 'sum', ")
    assert "leave skip out" in message
    both = spec(skip="concat", kernel_size=5)
    assert "kernel_size 5; expected kernel_size 3" in error(network(), both, FILE, given={"kernel_size"})
    assert "['none'" not in error(network(skip=["sat"]), spec(skip="none"), FILE, given={"skip"})


@pytest.mark.parametrize("changed", [{"out_channels": 4}, {"in_channels": 2}])
def test_weights_of_another_task_are_refused(changed: dict[str, int]) -> None:
    ((key, value),) = changed.items()
    message = error(network(), spec(**changed), FILE)
    assert f"found weights of a network with {key} {value}; expected {key} " in message
    assert "weights that were trained for this task" in message


def test_a_network_of_another_make_contradicts() -> None:
    message = error(nn.Conv2d(1, 3, 1), spec(), FILE)
    assert "found weights of the network vnet; expected a Conv2d, which was asked for" in message


def test_a_network_that_is_not_here_is_named() -> None:
    message = error(network(), {"name": "toy", "skip": "sum"}, FILE)
    assert message.startswith("run/model.pt: found weights of a network that cannot be built here: ")
    assert "add their module to imports in plan.yaml" in message
    message = error(network(), spec() | {"skip": "my_skip"}, FILE)
    assert "my_skip" in message


def test_a_spec_that_is_not_json_is_named(tmp_path: Path) -> None:
    save_weights(network().state_dict(), tmp_path / "model.pt", spec())
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(InputError, match=r"model\.json: found a file that cannot be read as JSON.*remove it"):
        network_of_weights(network(), tmp_path / "model.pt")


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off", {"network": {}}, [1]])
def test_a_checkpoint_that_says_nothing_is_left_to_the_training(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "last.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    own = network()
    assert network_to_resume(own, file) is own


DEFINITION = {"_target_": "a.B", "in_channels": "@in_channels", "norm": ["group", {}], "skip": "@skip"}


@pytest.mark.parametrize(
    ("overridden", "given"),
    [
        (["epochs", "train#network_def"], set()),
        (["skip"], {"skip"}),
        (["skip#1#maps"], {"skip"}),
        (["network_def#norm#1#num_groups", "network_def::dropout"], {"norm", "dropout"}),
        (["in_channels"], {"in_channels"}),
        (["network_def"], {"_target_", "in_channels", "norm", "skip"}),
        (["network_def#_target_"], {"_target_"}),
    ],
)
def test_what_overrides_change_of_the_network(overridden: list[str], given: set[str]) -> None:
    assert find_given_arguments(DEFINITION, overridden) == given


@pytest.mark.filterwarnings("ignore:parsing config_file")
@pytest.mark.parametrize(("overrides", "found"), [({}, "concat"), ({"skip": "sum"}, None), ({"skip": "none"}, "none")])
def test_a_workflow_in_python_says_what_differs_from_its_files(
    tmp_path: Path, overrides: dict[str, str], found: str | None
) -> None:
    """An override equal to the files' ``sum`` cannot be recognised there: the weights decide."""
    trained = "none" if found == "none" else "concat"
    save_weights(network(skip=trained).state_dict(), tmp_path / "model.pt", spec(skip=trained))
    arguments = {key: value for key, value in spec().items() if key not in ("name", "skip")}
    config = {
        "imports": ["$from pipeline.bundle import network_of_weights"],
        "skip": "sum",
        "network_def": {"_target_": "pipeline.networks.VNet", **arguments, "skip": "@skip"},
        "network": f"$network_of_weights(@network_def, {str(tmp_path / 'model.pt')!r})",
        "initialize": ["$@network"],
        "run": [],
    }
    file = tmp_path / "configs" / "inference.json"
    file.parent.mkdir()
    file.write_text(json.dumps(config))
    workflow = ConfigWorkflow(config_file=str(file), workflow_type="infer", logging_file=False, **overrides)
    workflow.initialize()
    assert workflow.parser.get_parsed_content("network").spec["skip"] == (found or "concat")
    other = ConfigWorkflow(config_file=str(file), workflow_type="infer", logging_file=False, skip="at")
    with pytest.raises(RuntimeError):
        other.initialize()
