"""`lightskip plan` on the built-in sample, and MONAI's checks of the bundle."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import monai
import pytest
from monai.bundle import ConfigParser, ConfigWorkflow, verify_metadata

from pipeline.bundle.plan import load_plan
from pipeline.bundle.planning import plan_bundle
from pipeline.bundle.render import check_network, write_rendered
from pipeline.data.check_dataset import check_dataset
from pipeline.data.errors import InputError
from pipeline.data.sample import make_sample

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("steady")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample dataset, a datalist of it in another folder, and its check."""
    root = tmp_path_factory.mktemp("plans")
    content = json.loads(make_sample(root / "data", cases=4, scans=1, folds=2).read_text(encoding="utf-8"))
    content["folder"] = "../data"
    content.pop("licence", None)
    (root / "lists").mkdir()
    (root / "lists" / "shapes.json").write_text(json.dumps(content))
    check_dataset(root / "lists" / "shapes.json", root / "check", progress=False)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "root"))


def plan(root: Path, *, name: str = "shapes", memory: str | None = "4GB", hours: float = 0.1, **options: object) -> str:
    return plan_bundle(
        root / "lists" / "shapes.json",
        name,
        root / "bundles",
        memory=memory,
        hours=hours,
        **{"check": root / "check", "device": "cpu", **options},  # type: ignore[arg-type]
    )


def test_what_was_made_is_told_and_what_is_left_to_do(root: Path) -> None:
    summary = plan(root)
    bundle = root / "bundles" / "shapes"
    made = load_plan(bundle)
    assert str(bundle / "plan.yaml") in summary
    assert " x ".join(map(str, made.patch)) in summary
    assert "fill in by hand: authors, copyright, intended_use, data.licence" in summary
    assert f"lightskip train {bundle}" in summary
    assert "--dataset_dir" not in summary
    assert f"and 6 minutes, timed with {made.training.threads} thread" in summary
    assert made.data.licence.startswith("TO FILL IN")
    assert made.training.minutes == 6


def test_the_folder_may_have_another_name_than_the_bundle(root: Path) -> None:
    assert str(root / "bundles" / "here" / "plan.yaml") in plan(root, folder="here")
    assert load_plan(root / "bundles" / "here").name == "shapes"
    assert not (root / "bundles" / "shapes").exists()


def test_the_kinds_of_a_datasets_problems_are_told(root: Path) -> None:
    (root / "data" / "imagesTr" / "sample_003.nii.gz").write_bytes(b"")
    summary = plan(root)
    assert "problems in the dataset: empty-file (1)" in summary
    assert load_plan(root / "bundles" / "shapes").labels["tube"] == 3


def test_a_bundle_may_be_moved_with_its_data_and_used_from_anywhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Planned with paths relative to one folder, read from another, after all was moved.
    monkeypatch.chdir(root)
    plan_bundle("lists/shapes.json", "shapes", "bundles", check="check", memory="4GB", device="cpu", hours=0.1)
    moved = Path(shutil.move(root, tmp_path / "moved"))
    monkeypatch.chdir(tmp_path)
    bundle = Path("moved") / "bundles" / "shapes"
    assert write_rendered(bundle)
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "train.json"))
    parser["bundle_root"] = str(bundle.absolute())
    assert Path(parser.get_parsed_content("dataset_dir")).samefile(moved / "data")
    assert len(parser.get_parsed_content("train_cases")) == 2


def test_a_datalist_without_a_folder_asks_for_it(root: Path) -> None:
    file = root / "lists" / "shapes.json"
    content = json.loads(file.read_text())
    del content["folder"]
    file.write_text(json.dumps(content))
    summary = plan(root, dataset_dir=root / "data")
    assert f"--dataset_dir {root / 'data'}" in summary
    assert load_plan(root / "bundles" / "shapes").data.folder is None


def test_a_check_of_another_datalist_is_not_taken(root: Path) -> None:
    report = json.loads((root / "check" / "check.json").read_text())
    report["datalist_sha256"] = "0"
    report["cases"] = []
    (root / "check" / "check.json").write_text(json.dumps(report))
    assert "plan.yaml" in plan(root)
    assert len(json.loads((root / "check" / "check.json").read_text())["cases"]) == 5


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"name": "my bundle"}, "--name"),
        ({"name": "../x"}, "--name"),
        ({"name": "1x"}, "--name"),
        ({"memory": "lots"}, "--memory"),
        ({"memory": "1MB"}, "--memory"),
        ({"hours": 0}, "--hours"),
        ({"hours": 1e-6}, "--hours: found 1e-06"),
        ({"device": "tpu"}, "--device"),
        ({"skip": "satt"}, "did you mean"),
        ({"skip": "['sat', {'map': 2}]"}, "'map'"),
        ({"skip": "['none', 'sat']"}, "skip has 2 entries; expected 3"),
        ({"network": "v-net"}, "did you mean vnet"),
        ({"network": "transformer"}, "--network"),
        ({"skip": "['concat', {'only': 7}]"}, "a level of 0"),
        ({"skip": "['scse', {'reduction': 99}]"}, "reduction is 99 for 32 channels"),
        ({"skip": "['scse', {'aggregation': 'mean'}]"}, "aggregation is 'mean'"),
        ({"skip": "['scse', {'aggregation': 'concat'}]"}, "expected merge 'concat'"),
        ({"spacing": [1.0, 1.0]}, "3 numbers"),
        ({"spacing": [1.0, 1.0, 0.0]}, "3 numbers"),
        ({"spacing": [1.0, 1.0, float("nan")]}, "3 numbers"),
        ({"dataset_dir": "/nowhere"}, "no such folder"),
    ],
)
def test_wrong_arguments_are_errors_and_leave_nothing(options: dict[str, object], found: str, root: Path) -> None:
    with pytest.raises(InputError, match=found):
        plan(root, **options)  # type: ignore[arg-type]
    assert not (root / "bundles").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "title", "skip", "words"),
    [
        (
            "unet",
            "U-Net",
            "['concat', {'only': 0}]",
            'the skip connection `concat` at level 0 only, `skip: ["concat", ',
        ),
        ("tiramisu", "Tiramisu", "scse", "the skip connection `scse`, `skip: scse`"),
        ("residual_fcn", "Residual FCN", "['sum', 'none', 'sat']", "`sum`, `none`, `sat`, finest level first"),
    ],
)
def test_every_network_is_planned_with_any_skip(network: str, title: str, skip: str, words: str, root: Path) -> None:
    plan(root, network=network, skip=skip)
    bundle = root / "bundles" / "shapes"
    made = load_plan(bundle)
    assert made.network.name == network
    assert f"A 3D {title} with the skip connection" in made.description
    assert words in (bundle / "docs" / "README.md").read_text()
    config = json.loads((bundle / "configs" / "train.json").read_text())
    assert config["network_def"]["_target_"].rpartition(".")[2].lower() == network.replace("_", "")
    # The configs build the network that fits the plan's patch.
    check_network(bundle)


def test_a_plan_that_was_edited_is_not_overwritten(root: Path) -> None:
    plan(root)
    file = root / "bundles" / "shapes" / "plan.yaml"
    file.write_text("mine")
    with pytest.raises(InputError, match="not overwritten"):
        plan(root)
    assert file.read_text() == "mine"


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    monai.utils.set_determinism(seed=None)


@pytest.mark.usefixtures("own_process")
def test_a_planned_bundle_has_the_properties_that_monai_knows(root: Path, tmp_path: Path) -> None:
    plan(root)
    config = root / "bundles" / "shapes" / "configs" / "train.json"
    overrides = {"ckpt_dir": str(tmp_path / "run"), "cache_dir": str(tmp_path / "cache")}
    workflow = ConfigWorkflow(str(config), workflow_type="train", logging_file=False, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_monai_verifies_the_metadata_at_once(
    root: Path, metadata_schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(root)
    # With a dead proxy, verification must use local files.
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://localhost:9")
    metadata = root / "bundles" / "shapes" / "configs" / "metadata.json"
    verify_metadata(str(metadata), filepath=shutil.copy(metadata_schema, root))
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({key: content[key] for key in content if key != "network_data_format"}))
    with pytest.raises(ValueError, match="network_data_format"):
        verify_metadata(str(metadata), filepath=str(root / metadata_schema.name))


def test_monai_verifies_the_network_at_once(
    root: Path, warm_start: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    plan(root)
    configs = root / "bundles" / "shapes" / "configs"
    done = warm_start(
        *("-W", "ignore", "-m", "monai.bundle", "verify_net_in_out", "--net_id", "network_def"),
        *("--meta_file", configs / "metadata.json", "--config_file", configs / "inference.json"),
        cwd=root,
    )
    assert done.returncode == 0, done.stdout + done.stderr
