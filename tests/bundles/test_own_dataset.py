"""The way of somebody's own dataset, at toy size: datalist, check, plan, train, evaluate, as a user types them."""

import csv
import json
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import monai
import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser, run, verify_net_in_out
from monai.data import NibabelReader
from monai.transforms import Compose
from PIL import Image

from pipeline.bundle.plan import load_plan
from pipeline.bundle.render import write_rendered
from pipeline.cli import main
from pipeline.data.sample_left_right import make_left_right_sample

# As small as a plan can be; and so that the time that a machine takes does not end a training.
TINY = ["--hours", "0.005", "--memory", "2GB", "--device", "cpu", "--skip", "concat"]
STEADY = ["--minutes", "60", "--device", "cpu", "--logging_file", "False"]

# MONAI says at every start that a config is code, and speaks of its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")


@contextmanager
def user_in(folder: Path) -> Iterator[None]:
    """Work in a folder, in a process that a run leaves unchanged."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(sys, "path", list(sys.path))
        # The plan is that of a machine of one speed, and nothing is timed.
        patch.setattr("pipeline.bundle.planning.resources.measure_pace", lambda *_, **__: 1e-6)
        patch.chdir(folder)
        yield
    monai.utils.set_determinism(seed=None)


def go_the_way(folder: Path, listing: Sequence[str], training: Sequence[str], *planning: str) -> Path:
    """Take a dataset from its files to the evaluation of fold 0; gives the bundle's folder."""
    # What is overridden counts in the evaluation too, as the training's last line says.
    shared = [*training[training.index("--window") :][:2], "--device", "cpu", "--logging_file", "False"]
    with user_in(folder):
        assert main(["datalist", *listing, "-o", "list.json"]) == 0
        assert main(["check", "list.json"]) == 0
        assert main(["plan", "list.json", "--name", "toy", *TINY, *planning]) == 0
        assert main(["train", "bundles/toy", *training, *STEADY]) == 0
        assert main(["evaluate", "bundles/toy", *shared]) == 0
    return folder / "bundles" / "toy"


def config(bundle: Path, *names: str) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / f"{name}.json") for name in names])
    # The config finds its bundle by the workflow that runs it; here is none.
    parser["bundle_root"] = str(bundle)
    return parser


def cases_of_fold(folder: Path, fold: int) -> list[dict[str, Any]]:
    return [item for item in json.loads((folder / "list.json").read_text())["training"] if item["fold"] == fold]


def evaluated(bundle: Path) -> list[dict[str, str]]:
    with (bundle / "evaluation" / "fold_0" / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def mean_dice(rows: Sequence[dict[str, str]], *labels: str) -> float:
    return float(np.mean([float(row["dice"]) for row in rows if not labels or row["label"] in labels]))


def metadata(bundle: Path) -> dict[str, Any]:
    """Return the bundle's metadata, after its network has been compared with it."""
    file = bundle / "configs" / "metadata.json"
    content: dict[str, Any] = json.loads(file.read_text())
    files = {"meta_file": str(file), "config_file": str(bundle / "configs" / "inference.json")}
    verify_net_in_out("network_def", **files, device="cpu")
    return content


# --- a folder in the layout of the Medical Segmentation Decathlon -----------------------------------------------------


def write_blobs(folder: Path) -> None:
    """Write six scans with two bright ellipsoids each, at places and of sizes that change from scan to scan."""
    rng = np.random.default_rng(0)
    affine = np.diag([1.0, 1.1, 1.2, 1.0])
    places = np.stack(np.meshgrid(*map(np.arange, (30, 36, 28)), indexing="ij"), axis=-1)
    training = []
    for number in range(6):
        label_map = np.zeros(places.shape[:3], np.uint8)
        for value, middle in ((1, 9), (2, 26)):
            centre = np.array([15, middle, 14]) + rng.integers(-3, 4, 3) * [1, 0.5, 1]
            radii = rng.uniform(6, 8, 3)
            label_map[(((places - centre) / radii) ** 2).sum(axis=-1) < 1] = value
        image = (100 * label_map + rng.normal(0, 20, label_map.shape)).astype(np.float32)
        item = {key: f"./{key}sTr/blobs_{number}.nii.gz" for key in ("image", "label")}
        for voxels, path in ((image, item["image"]), (label_map, item["label"])):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            nifti = nib.Nifti1Image(voxels, affine)
            nifti.header.set_xyzt_units("mm")
            nib.save(nifti, folder / path)
        training.append(item)
    content = {
        "name": "Blobs",
        "description": "two ellipsoids",
        "tensorImageSize": "3D",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "dim", "2": "bright"},
        "numTraining": 6,
        "numTest": 0,
        "training": training,
        "test": [],
    }
    (folder / "dataset.json").write_text(json.dumps(content))


def copy_hippocampi(real_data: Path, folder: Path) -> None:
    """Copy the first six real cases, and say that there are no others."""
    source = real_data / "hippocampus"
    content = json.loads((source / "dataset.json").read_text())
    content |= {"training": content["training"][:6], "numTraining": 6}
    for item in content["training"]:
        for path in item.values():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, folder / path)
    (folder / "dataset.json").write_text(json.dumps(content))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "labels", "training", "chance"),
    [
        # Taken for one of them, all that is bright would have a Dice of .35 for it and 0 for the other.
        ("blobs", {"dim", "bright"}, "--patch [16,16,16] --learning_rate 0.02", 0.4),
        # By chance a network finds a structure of a thirtieth of the scan with a Dice of .05.
        pytest.param(
            *("hippocampi", {"Anterior", "Posterior"}, "--patch [32,32,32]", 0.2),
            marks=[pytest.mark.real, pytest.mark.long],
        ),
    ],
    ids=["blobs", "hippocampi"],
)
def test_a_decathlon_dataset_becomes_a_bundle_that_learns(
    dataset: str, labels: set[str], training: str, chance: float, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if dataset == "blobs":
        write_blobs(tmp_path / "data")
    else:
        copy_hippocampi(request.getfixturevalue("real_data"), tmp_path / "data")
    training = f"{training} --window [32,48,32] --batch 2 --samples_per_case 1 --val_interval 40 --epochs 40"
    bundle = go_the_way(tmp_path, ["data", "--folds", "3"], training.split())
    rows = evaluated(bundle)
    names = {Path(item["image"]).name.removesuffix(".nii.gz") for item in cases_of_fold(tmp_path, 0)}
    assert {(row["case"], row["label"]) for row in rows} == {(name, label) for name in names for label in labels}
    assert len(rows) == 2 * len(labels)
    for row in rows:
        (item,) = [item for item in cases_of_fold(tmp_path, 0) if row["case"] in item["image"]]
        label_map = nib.load(tmp_path / "data" / item["label"])
        voxels = np.count_nonzero(np.asarray(label_map.dataobj) == load_plan(bundle).labels[row["label"]])
        ml = voxels * np.prod(label_map.header.get_zooms()) / 1000
        assert (float(row["reference_size"]), row["size_unit"]) == (pytest.approx(ml, rel=1e-4), "ml")
    assert mean_dice(rows) > chance
    assert metadata(bundle)["network_data_format"]["outputs"]["pred"]["channel_def"]["0"] == "background"


class Ticks:
    """A clock on which each look takes half a second: trainings on it are the same on every machine."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.5
        return self.now


@pytest.mark.slow
def test_the_hours_of_a_plan_are_the_time_of_its_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_blobs(tmp_path / "data")
    training = "--patch [16,16,16] --window [32,48,32] --batch 2 --samples_per_case 1 --device cpu --logging_file False"
    monkeypatch.setattr("pipeline.training.end_in_time.time", Ticks())
    with user_in(tmp_path):
        assert main(["datalist", "data", "--folds", "3", "-o", "list.json"]) == 0
        assert main(["plan", "list.json", "--name", "toy", *TINY, "--hours", "0.03"]) == 0
        assert main(["train", "bundles/toy", *training.split()]) == 0
        found = capsys.readouterr().out
        folder = tmp_path / "bundles" / "toy" / "runs" / "fold_0"
        rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
        assert 0.95 * 108 <= float(rows[-1]["elapsed_seconds"]) <= 1.03 * 108
        assert sum(row["val_mean_dice"] != "" for row in rows) >= 8
        assert rows[-1]["val_cases"] == "2"
        assert float(rows[-1]["learning_rate"]) < 0.01 * 0.005
        assert f" of {len(rows)})" in found
        # Given epochs are a limit as well, and the validations follow them.
        assert main(["train", "bundles/toy", *training.split(), "--epochs", "9", "--minutes", "600"]) == 0
        rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
        assert [row["epoch"] for row in rows if row["val_mean_dice"]] == [str(epoch) for epoch in range(1, 10)]
        assert main(["train", "bundles/toy", *training.split(), "--minutes", "0.01"]) == 2
        told = capsys.readouterr().err
        assert told.count("minutes: found 0.01 for a training whose validation of 2 cases") == 1


# --- pictures whose background is 255 ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 8 pictures of a bright disc each, which their label maps have as 0 and all else as 255."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (folder / "data" / part).mkdir(parents=True)
    for number in range(8):
        height, width = (60, 50) if number % 2 else (72, 64)
        y, x = np.mgrid[:height, :width]
        inside = (x - rng.integers(18, width - 18)) ** 2 + (y - rng.integers(18, height - 18)) ** 2
        disc = inside < rng.integers(80, 200)
        grey = np.clip(60 + 100 * disc + rng.normal(0, 25, disc.shape), 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / "data" / "images" / f"slice{number}.png")
        Image.fromarray(np.where(disc, 0, 255).astype(np.uint8)).save(folder / "data" / "labels" / f"disc{number}.png")
    return folder


@pytest.fixture(scope="module")
def discs(pictures: Path) -> Path:
    """Their bundle, trained and evaluated."""
    patterns = ["--images", "data/images/slice*.png", "--labels", "data/labels/disc*.png"]
    names = ["--label-names", "255=background", "0=disc", "--channel-names", "EM", "--folds", "4"]
    training = "--patch [32,32] --window [48,48] --batch 2 --samples_per_case 2 --epochs 15 --val_interval 15"
    return go_the_way(pictures, [*patterns, *names], training.split())


def in_file(folder: Path, path: str) -> np.ndarray:
    """A picture's pixels as (x, y); a file has rows first."""
    return np.asarray(Image.open(folder / "data" / path)).T


@pytest.mark.slow
def test_the_plan_gives_the_networks_values_and_the_files(discs: Path) -> None:
    plan = load_plan(discs)
    assert plan.labels == {"background": 0, "disc": 1}
    assert plan.label_values == {"background": 255, "disc": 0}
    assert (plan.spatial_dims, plan.data.modality, plan.data.folder) == (2, "EM", "../../data")
    assert (plan.training.minutes, plan.training.cache_rate) == (pytest.approx(0.3), 1.0)
    train = json.loads((discs / "configs" / "train.json").read_text())
    assert train["label_values"] == plan.label_values
    assert (train["minutes"], train["train"]["dataset"]["cache_rate"]) == (plan.training.minutes, 1.0)


@pytest.mark.parametrize(
    ("files", "chain"),
    [
        (["train"], "train#deterministic_transforms"),
        (["train"], "validate#preprocessing#transforms"),
        (["train", "evaluate"], "validate#preprocessing#transforms"),
    ],
)
def test_the_network_sees_the_files_0_as_1(pictures: Path, discs: Path, files: list[str], chain: str) -> None:
    parser = config(discs, *files)
    parser["patch"] = [32, 32]
    transform = Compose(parser.get_parsed_content(chain))
    for item in cases_of_fold(pictures, 0):
        paths = {key: str(pictures / "data" / item[key]) for key in ("image", "label")}
        label = np.asarray(transform(paths)["label"])
        np.testing.assert_array_equal(label[0], in_file(pictures, item["label"]) == 0)
        assert label.dtype == np.uint8


def test_a_patch_larger_than_the_picture_is_filled_up_with_background(pictures: Path, discs: Path) -> None:
    parser = config(discs, "train")
    parser["patch"] = [96, 96]
    transform = Compose(parser.get_parsed_content("train#deterministic_transforms"))
    item = cases_of_fold(pictures, 0)[0]
    case = transform({key: str(pictures / "data" / item[key]) for key in ("image", "label")})
    disc = in_file(pictures, item["label"]) == 0
    assert case["label"].shape == case["image"].shape == (1, 96, 96)
    assert case["label"].sum() == disc.sum()
    assert set(np.unique(case["label"])) == {0, 1}
    # Where patches are centred on the disc, it is.
    places = np.unravel_index(np.asarray(case["label_cls_indices"][1]), (96, 96))
    assert case["label"][0][places].all()
    assert len(places[0]) == disc.sum()


def test_pictures_are_evaluated_by_their_names_in_their_pixels(pictures: Path, discs: Path) -> None:
    rows = evaluated(discs)
    cases = cases_of_fold(pictures, 0)
    assert [(row["case"], row["label"]) for row in rows] == [(Path(item["image"]).stem, "disc") for item in cases]
    for row, item in zip(rows, cases, strict=True):
        pixels = np.count_nonzero(in_file(pictures, item["label"]) == 0)
        assert (float(row["reference_size"]), row["size_unit"]) == (pixels, "px2")
    # Everything taken for disc would have a Dice of .25.
    assert mean_dice(rows) > 0.6


def test_a_predicted_picture_has_1_where_the_file_should_have_0(pictures: Path, discs: Path) -> None:
    item = cases_of_fold(pictures, 0)[0]
    with user_in(pictures):
        run(
            config_file=str(discs / "configs" / "inference.json"),
            logging_file=False,
            dataset_dir="data",
            datalist=[item["image"]],
            output_dir="predicted",
            checkpoint=str(discs / "runs" / "fold_0" / "model.pt"),
            device="cpu",
            **{"inferer#roi_size": [48, 48]},
        )
    (file,) = (pictures / "predicted").iterdir()
    found = np.asarray(nib.load(file).dataobj)
    disc = in_file(pictures, item["label"]) == 0
    assert found.shape == disc.shape
    assert found.dtype == np.uint8
    dice = 2 * np.count_nonzero((found == 1) & disc) / (np.count_nonzero(found == 1) + disc.sum())
    assert dice == pytest.approx(float(evaluated(discs)[0]["dice"]), abs=1e-5)


def test_documents_tell_which_value_is_which(discs: Path) -> None:
    content = metadata(discs)
    assert content["label_classes"] == "255 is background, 0 is disc"
    assert content["pred_classes"] == "0 is background, 1 is disc"
    formats = content["network_data_format"]
    assert formats["inputs"]["image"]["channel_def"] == {"0": "EM"}
    assert formats["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "disc"}
    document = (discs / "docs" / "README.md").read_text()
    assert "0 background (255 in the dataset's files), 1 disc (0 in the dataset's files)" in document


# --- where the scans lie ----------------------------------------------------------------------------------------------


def with_folder(discs: Path, target: Path, folder: str) -> Path:
    """Copy the bundle, without its runs, with another data.folder in its plan."""
    shutil.copytree(discs, target, ignore=shutil.ignore_patterns("runs", "evaluation"))
    text = (target / "plan.yaml").read_text()
    text = text.replace("folder: ../../data", f"folder: {json.dumps(folder)}")
    (target / "plan.yaml").write_text(text.replace("manifest: ../../", f"manifest: {discs.parents[1]}/"))
    write_rendered(target)
    return target


@pytest.mark.parametrize("absolute", [False, True])
def test_scans_are_found_from_the_bundle_or_at_an_absolute_path(
    pictures: Path, discs: Path, tmp_path: Path, absolute: bool
) -> None:
    (tmp_path / "near").mkdir()
    bundle = with_folder(discs, tmp_path / "deep" / "toy", str(pictures / "data") if absolute else "../../near")
    found = Path(config(bundle, "train").get_parsed_content("dataset_dir"))
    assert found == (pictures / "data" if absolute else tmp_path / "near").resolve()
    # Absolute ones stay where they are when the bundle goes elsewhere.
    moved = (tmp_path / "elsewhere" / "far" / "off" / "toy").resolve()
    shutil.copytree(bundle, moved)
    found = Path(config(moved, "train").get_parsed_content("dataset_dir"))
    assert found == (pictures / "data").resolve() if absolute else moved.parents[1] / "near"


@pytest.mark.slow
def test_a_bundle_without_its_scans_says_so_and_takes_them_from_the_command_line(
    pictures: Path, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(discs, tmp_path / "a" / "b" / "toy", ignore=shutil.ignore_patterns("runs", "evaluation"))
    training = ["--epochs", "1", "--val_interval", "1", "--patch", "[32,32]", "--window", "[48,48]"]
    with user_in(tmp_path):
        assert main(["train", "a/b/toy", *training, *STEADY]) == 2
        told = capsys.readouterr().err
        assert f"error: {tmp_path / 'a' / 'data'}: found no such folder; expected a folder with scans." in told
        assert "dataset_dir" in told
        # What lies beside the bundle no longer is told, and is no reason not to train.
        assert "warning: the configs cannot be compared with the plan" in told
        assert not (tmp_path / "a" / "b" / "toy" / "runs").exists()
        assert main(["train", "a/b/toy", *training, *STEADY, "--dataset_dir", str(pictures / "data")]) == 0
    assert (tmp_path / "a" / "b" / "toy" / "runs" / "fold_0" / "model.pt").is_file()


# --- nnU-Net's layout, two channels, thick slices, left and right -----------------------------------------------------


@pytest.fixture(scope="module")
def two_channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the second sample dataset in it."""
    folder = tmp_path_factory.mktemp("two_channels")
    make_left_right_sample(folder / "data", cases=8, scans=1)
    return folder


@pytest.fixture(scope="module")
def organs(two_channels: Path) -> Path:
    """Its bundle at a spacing at which a small patch shows both sides, trained and evaluated."""
    training = "--patch [32,32,16] --window [32,32,16] --batch 2 --samples_per_case 1 --epochs 40 --val_interval 40"
    words = [*training.split(), "--learning_rate", "0.02"]
    return go_the_way(two_channels, ["data", "--folds", "4"], words, "--spacing", "2", "2", "5")


@pytest.mark.slow
@pytest.mark.usefixtures("organs")
def test_a_plan_for_thick_slices_keeps_them_apart_and_left_from_right(two_channels: Path) -> None:
    with user_in(two_channels):
        assert main(["plan", "list.json", "--name", "thick", *TINY]) == 0
    plan = load_plan(two_channels / "bundles" / "thick")
    assert plan.data.channels == ["synthetic A", "synthetic B"]
    # In RAS, axis 0 is left-right, and the slices, five times as thick as wide, lie along axis 2.
    assert plan.mirror_axes == [1, 2]
    assert plan.spacing[2] > 4 * plan.spacing[0]
    assert isinstance(plan.network.kernel_size, list)
    assert plan.network.kernel_size[0] == [3, 3, 1]
    assert plan.network.strides is not None
    assert plan.network.strides[0] == [2, 2, 1]
    train = json.loads((two_channels / "bundles" / "thick" / "configs" / "train.json").read_text())
    assert train["train"]["prepare_batch"]["mirror_axes"] == [1, 2]
    assert train["in_channels"] == 2
    for chain in (train["train"]["deterministic_transforms"], train["validate"]["preprocessing"]["transforms"]):
        # The files' values are the network's: nothing is mapped.
        assert "MapLabelValued" not in [transform["_target_"] for transform in chain]


@pytest.mark.slow
@pytest.mark.parametrize("chain", ["train#deterministic_transforms", "validate#preprocessing#transforms"])
def test_a_scan_keeps_its_channels_while_another_thread_reads(
    two_channels: Path, organs: Path, chain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = config(organs, "train")
    parser["patch"] = [16, 16, 16]
    transform = Compose(parser.get_parsed_content(chain))
    first, second = [
        {key: np.char.add(f"{two_channels}/data/", item[key]).tolist() for key in ("image", "label")}
        for item in cases_of_fold(two_channels, 0)
    ]
    get_data, others = NibabelReader.get_data, [second]

    def after_another(self: NibabelReader, image: Any) -> Any:
        # Between a file's opening and its reading the other thread has its turn.
        if others:
            transform(others.pop())
        return get_data(self, image)

    monkeypatch.setattr(NibabelReader, "get_data", after_another)
    assert transform(first)["image"].shape[0] == 2
    assert not others


@pytest.mark.slow
def test_cases_of_two_files_are_evaluated_by_their_names(two_channels: Path, organs: Path) -> None:
    rows = evaluated(organs)
    names = [Path(item["label"]).name.removesuffix(".nii.gz") for item in cases_of_fold(two_channels, 0)]
    assert list(dict.fromkeys(row["case"] for row in rows)) == names
    assert {row["label"] for row in rows} == {"left_organ", "right_organ", "lesion"}
    # By chance: each is a thirtieth of the scan at most.
    assert mean_dice(rows, "left_organ", "right_organ") > 0.3


@pytest.mark.slow
def test_a_scan_of_two_files_is_segmented_in_its_grid(two_channels: Path, organs: Path) -> None:
    channels = [f"imagesTs/scan_000_000{channel}.nii.gz" for channel in (0, 1)]
    with user_in(two_channels):
        run(
            config_file=str(organs / "configs" / "inference.json"),
            logging_file=False,
            dataset_dir="data",
            datalist=[{"image": channels}],
            output_dir="predicted",
            checkpoint=str(organs / "runs" / "fold_0" / "model.pt"),
            device="cpu",
            **{"inferer#roi_size": [32, 32, 16]},
        )
    (file,) = (two_channels / "predicted").iterdir()
    found, scan = nib.load(file), nib.load(two_channels / "data" / channels[0])
    assert found.shape == scan.shape
    np.testing.assert_array_equal(found.affine, scan.affine)
    truth = np.asarray(nib.load(two_channels / "data" / "labelsTs" / "scan_000.nii.gz").dataobj)
    values = np.asarray(found.dataobj)
    # Written into a mirrored grid, left would be right and its Dice 0.
    for value in (1, 2):
        overlap = np.count_nonzero((values == value) & (truth == value))
        assert 2 * overlap / (np.count_nonzero(values == value) + np.count_nonzero(truth == value)) > 0.3


@pytest.mark.slow
def test_metadata_name_both_channels(organs: Path) -> None:
    content = metadata(organs)
    formats = content["network_data_format"]
    assert formats["inputs"]["image"]["channel_def"] == {"0": "synthetic A", "1": "synthetic B"}
    assert formats["inputs"]["image"]["num_channels"] == 2
    expected = {"0": "background", "1": "left_organ", "2": "right_organ", "3": "lesion"}
    assert formats["outputs"]["pred"]["channel_def"] == expected
    assert content["label_classes"] == "0 is background, 1 is left_organ, 2 is right_organ, 3 is lesion"


@pytest.mark.slow
def test_metadata_follow_monais_schema(discs: Path, organs: Path, metadata_schema: Path) -> None:
    for bundle in (discs, organs):
        jsonschema.validate(metadata(bundle), json.loads(metadata_schema.read_text()))
