"""Bundles whose network predicts regions: masks that overlap, against MONAI's runner and other programs' readers."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from scipy.spatial.transform import Rotation

from pipeline.bundle.plan import load_plan
from pipeline.bundle.render import write_rendered
from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.data.folder_scans import find_folder_scans
from pipeline.prediction.bundle_files import read_bundle_files
from pipeline.prediction.command import Request, Summary, predict_files
from pipeline.prediction.fold_cases import find_annotated, read_reference
from pipeline.prediction.foreign import next_command, require_decision
from pipeline.prediction.jobs import run_jobs
from pipeline.prediction.outputs import Outputs, Wanted
from pipeline.prediction.predictor import Predictor

NAMES = ("whole", "inner", "outer edge")
# Labels core 1 and rim 2 of the patterns 0 to 7, by hand: core is 1 + 2, rim 1 + 4, other patterns by the order.
TABLE = np.array([0, 2, 1, 1, 2, 2, 2, 2], np.uint8)
AXES = {
    "own": np.eye(3),
    "oblique": Rotation.from_euler("xyz", [20, -10, 15], degrees=True).as_matrix() @ np.diag([1.1, -1.3, 2.0]),
    "sheared": np.array([[1, 0, 0], [0, 1, 0.25], [0, 0, 1.4]]),
    "coarse": np.diag([1.6, 1.6, 2.4]),
}
SHAPE = (24, 21, 14)
SCAN = "oblique.nii.gz"
Phantom = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def scans(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the phantom in several grids."""
    folder = tmp_path_factory.mktemp("scans")
    for name, axes in AXES.items():
        affine = np.eye(4)
        affine[:3, :3] = axes
        affine[:3, 3] = -axes @ (np.array(SHAPE) // 2)
        places = np.moveaxis(np.indices(SHAPE), 0, -1) @ axes.T + affine[:3, 3]
        nib.save(nib.Nifti1Image(phantom(places).astype(np.float32), affine), folder / f"{name}.nii.gz")
    return folder


def predict(bundle: Path, scans: list[Path], output: Path, **options: Any) -> Summary:
    wanted = Wanted(**{key: options.pop(key) for key in list(options) if key in Wanted.__dataclass_fields__})
    request = Request(bundle, scans, output, wanted, device="cpu", progress=False, **options)
    summary = predict_files(request)
    assert [result.error for result in summary.results if result.error] == []
    return summary


@pytest.fixture(scope="module")
def predicted(tiny_region_bundle: Path, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all files of all scans, regions as channels."""
    folder = tmp_path_factory.mktemp("ours")
    every = {"probabilities": True, "uncertainty": True, "statistics": True, "preview": True}
    predict(tiny_region_bundle, [scans], folder, regions="channels", **every)
    return folder


def saved(folder: Path, scan: str, what: str = "seg") -> np.ndarray:
    return np.asanyarray(nib.load(folder / f"{scan.split('.', 1)[0]}_{what}.nii.gz").dataobj)


def assert_same_as_monai(ours: Path, monai: Path, name: str) -> None:
    """Every voxel has MONAI's label and is in MONAI's regions, but where a probability is 0.5 within rounding."""
    expected = saved(monai, name, "prob")
    assert expected.shape == (*SHAPE, 3)
    clear = (np.abs(expected - 0.5) > 1e-5).all(axis=-1)
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(saved(ours, name)[clear], saved(monai, name)[clear])
    np.testing.assert_allclose(saved(ours, name, "prob"), expected, atol=1e-5)
    np.testing.assert_array_equal(saved(ours, name, "regions")[clear], (expected > 0.5)[clear])


@pytest.fixture(scope="module")
def by_monai(
    tiny_region_bundle: Path,
    scans: Path,
    run_by_monai: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("monai")
    run_by_monai(tiny_region_bundle, sorted(scans.iterdir()), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", AXES)
def test_labels_and_regions_are_those_of_monais_runner(name: str, predicted: Path, by_monai: Path) -> None:
    assert_same_as_monai(predicted, by_monai, name)
    # The label map by the table, the overlap of regions in their own file; all patterns occur.
    regions = saved(predicted, name, "regions")
    patterns = regions @ np.array([1, 2, 4])
    assert len(np.unique(patterns)) == 8
    np.testing.assert_array_equal(saved(predicted, name), TABLE[patterns])
    assert regions.dtype == np.uint8


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"tta": True}, {"dropout_samples": 3}])
def test_averages_are_those_of_monais_runner(
    settings: dict[str, Any],
    tiny_region_bundle: Path,
    scans: Path,
    run_by_monai: Callable[..., None],
    tmp_path: Path,
) -> None:
    bundle = shutil.copytree(tiny_region_bundle, tmp_path / "bundle")
    config = bundle / "configs" / "inference.json"
    content = json.loads(config.read_text())
    content["network_def"]["dropout"] = 0.3
    config.write_text(json.dumps(content))
    predict(bundle, [scans / SCAN], tmp_path / "ours", probabilities=True, regions="channels", **settings)
    run_by_monai(bundle, [scans / SCAN], tmp_path / "monai", **settings)
    assert_same_as_monai(tmp_path / "ours", tmp_path / "monai", SCAN)


def test_of_several_weights_the_probabilities_of_regions_are_averaged(
    tiny_region_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    state = torch.load(tiny_region_bundle / "models" / "model.pt", weights_only=True)
    files = [tmp_path / f"{number}.pt" for number in range(3)]
    generator = torch.Generator().manual_seed(0)
    for number, file in enumerate(files):
        torch.save({k: v + number * 0.2 * torch.randn(v.shape, generator=generator) for k, v in state.items()}, file)
    # One window, in whose middle nothing is blended.
    voxels = nib.load(scans / "own.nii.gz").get_fdata()[:16, :16, :14].astype(np.float32)
    single = [
        Predictor(tiny_region_bundle, checkpoint=file, device="cpu")(voxels, probabilities=True).probabilities
        for file in files
    ]
    assert np.abs(single[0] - single[1]).max() > 0.1
    together = Predictor(tiny_region_bundle, checkpoint=files, device="cpu")(voxels, probabilities=True)
    np.testing.assert_allclose(together.probabilities, np.mean(single, axis=0), atol=1e-5)


def test_python_returns_the_masks(region_predictor: Predictor, scans: Path, predicted: Path) -> None:
    prediction = region_predictor(scans / SCAN, probabilities=True, uncertainty=True)
    assert tuple(prediction.regions) == NAMES
    for place, mask in enumerate(prediction.regions.values()):
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, prediction.probabilities[..., place] > 0.5)
        np.testing.assert_array_equal(mask, saved(predicted, SCAN, "regions")[..., place])
    assert [label.name for label in prediction.table] == ["core", "rim"]
    assert region_predictor.bundle.labels == {"background": 0, "core": 1, "rim": 2}


def test_a_bundle_with_labels_has_no_regions(predictor: Predictor, scans: Path) -> None:
    prediction = predictor(scans / "own.nii.gz")
    assert prediction.regions == {}
    assert prediction.patterns is None


def test_entropy_is_the_mean_of_the_regions_own(region_predictor: Predictor, scans: Path) -> None:
    # In the network's own grid nothing is interpolated.
    prediction = region_predictor(scans / "own.nii.gz", probabilities=True, uncertainty=True)
    p = prediction.probabilities.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = -np.nan_to_num(p * np.log2(p)) - np.nan_to_num((1 - p) * np.log2(1 - p))
    np.testing.assert_allclose(prediction.entropy, each.mean(axis=-1), atol=1e-4)
    assert prediction.uncertainty == pytest.approx(prediction.entropy[prediction.labels > 0].mean(), abs=1e-6)


@pytest.fixture
def cleaning_bundle(tiny_region_bundle: Path, tmp_path: Path) -> Path:
    """The bundle with post-processing."""
    folder = shutil.copytree(tiny_region_bundle, tmp_path / "cleaning")
    plan = yaml.safe_load((folder / "plan.yaml").read_text())
    plan["postprocessing"] = {"largest_component": ["core"], "fill_holes": ["rim"]}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    write_rendered(folder)
    return folder


def test_regions_follow_the_cleaning_of_the_label_map(
    cleaning_bundle: Path, region_predictor: Predictor, scans: Path
) -> None:
    before = region_predictor(scans / SCAN)
    after = Predictor(cleaning_bundle, device="cpu", settings={"precision": "float32"})(scans / SCAN)
    changed = before.labels != after.labels
    assert changed.any()
    assert (after.labels[changed] == 0).any()
    np.testing.assert_array_equal(after.patterns[~changed], before.patterns[~changed])
    # Core is in whole and inner, rim in whole and outer edge.
    np.testing.assert_array_equal(after.patterns[changed], np.array([0, 3, 5])[after.labels[changed]])
    assert not any(mask[after.labels == 0].any() for mask in after.regions.values())
    raw = Predictor(cleaning_bundle, device="cpu", postprocessing=False, settings={"precision": "float32"})
    np.testing.assert_array_equal(raw(scans / SCAN).labels, before.labels)


def test_a_cleaned_label_map_is_that_of_monais_runner(
    cleaning_bundle: Path, scans: Path, run_by_monai: Callable[..., None], tmp_path: Path
) -> None:
    settings = {"precision": "float32"}
    predict(cleaning_bundle, [scans / SCAN], tmp_path / "ours", settings=settings)
    run_by_monai(cleaning_bundle, [scans / SCAN], tmp_path / "monai", **settings)
    # A probability of 0.5 within rounding may join or part components: that has not happened here.
    assert (saved(tmp_path / "ours", SCAN) != saved(tmp_path / "monai", SCAN)).mean() < 0.001


def test_a_file_per_region(tiny_region_bundle: Path, scans: Path, predicted: Path, tmp_path: Path) -> None:
    predict(tiny_region_bundle, [scans / SCAN], tmp_path, regions="files")
    names = sorted(file.name for file in tmp_path.glob("oblique*"))
    assert names == [f"oblique_{name}.nii.gz" for name in ("inner_region", "outer_edge_region", "seg", "whole_region")]
    scan = nib.load(scans / SCAN)
    for place, word in enumerate(("whole", "inner", "outer_edge")):
        mask = nib.load(tmp_path / f"oblique_{word}_region.nii.gz")
        assert mask.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(mask.affine, scan.affine)
        np.testing.assert_array_equal(np.asanyarray(mask.dataobj), saved(predicted, SCAN, "regions")[..., place])
    # They are no scans next to the scan.
    folder = tmp_path / "together"
    folder.mkdir()
    for file in (scans / SCAN, *tmp_path.glob("*.nii.gz"), predicted / "oblique_regions.nii.gz"):
        shutil.copy(file, folder)
    assert [Path(scan.files[0]).name for scan in find_folder_scans(folder, channels=1)] == [SCAN]


def test_layers_are_read_by_simpleitk_and_say_what_slicer_reads(
    tiny_region_bundle: Path, scans: Path, predicted: Path, tmp_path: Path
) -> None:
    predict(tiny_region_bundle, [scans / SCAN], tmp_path, format="nrrd", regions="channels")
    file = tmp_path / "oblique_regions.seg.nrrd"
    image = sitk.ReadImage(file)
    assert (image.GetDimension(), image.GetNumberOfComponentsPerPixel()) == (3, 3)
    found = np.moveaxis(sitk.GetArrayFromImage(image), (0, 1, 2), (2, 1, 0))
    np.testing.assert_array_equal(found, saved(predicted, SCAN, "regions"))
    scan = sitk.ReadImage(scans / SCAN)
    for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(image, part)(), getattr(scan, part)(), atol=1e-5)
    header = file.read_bytes().partition(b"\n\n")[0].decode().split("\n")
    # As in Slicer's description of the format.
    assert "sizes: 3 24 21 14" in header
    assert "kinds: list domain domain domain" in header
    assert next(line for line in header if line.startswith("space directions")).startswith("space directions: none (")
    for place, name in enumerate(NAMES):
        for key, value in (("Name", name), ("Layer", place), ("LabelValue", 1)):
            assert f"Segment{place}_{key}:={value}" in header
        inside = np.nonzero(found[..., place])
        extent = " ".join(f"{axis.min()} {axis.max()}" for axis in inside)
        assert f"Segment{place}_Extent:={extent}" in header
    # The label map itself has no layers.
    assert sitk.ReadImage(tmp_path / "oblique.seg.nrrd").GetNumberOfComponentsPerPixel() == 1


def write_series(folder: Path, voxels: np.ndarray) -> Path:
    """Write a CT series of 1 mm, a slice along the last axis each."""
    folder.mkdir()
    pydicom = pytest.importorskip("pydicom")
    for number in range(voxels.shape[-1]):
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.SOPClassUID = pydicom.uid.CTImageStorage
        dataset.SOPInstanceUID = f"1.2.3.4.{number + 1}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.1", "1.2.3.2"
        dataset.FrameOfReferenceUID = "1.2.3.3"
        dataset.Modality, dataset.PatientName, dataset.PatientID = "CT", "A^B", "7"
        for name in ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "Manufacturer"):
            setattr(dataset, name, "")
        dataset.StudyDate, dataset.StudyTime, dataset.ReferringPhysicianName = "20200102", "030405", ""
        dataset.SeriesNumber, dataset.InstanceNumber = 3, number + 1
        dataset.ImagePositionPatient = [-12.0, -10.0, number - 7.0]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [1.0, 1.0], 1.0
        plane = np.ascontiguousarray(voxels[..., number].T).astype("<i2")
        dataset.Rows, dataset.Columns = plane.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = plane.tobytes()
        dataset.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return folder


def test_dicom_segments_overlap_as_highdicom_reads_them(
    tiny_region_bundle: Path, scans: Path, region_predictor: Predictor, tmp_path: Path
) -> None:
    highdicom = pytest.importorskip("highdicom")
    pydicom = pytest.importorskip("pydicom")
    series = write_series(tmp_path / "ct", nib.load(scans / "own.nii.gz").get_fdata() * 4)
    predict(tiny_region_bundle, [series], tmp_path / "out", format="dicom-seg", regions="channels")
    assert sorted(file.name for file in (tmp_path / "out").glob("*.dcm")) == ["ct_regions.dcm", "ct_seg.dcm"]
    dataset = pydicom.dcmread(tmp_path / "out" / "ct_regions.dcm")
    assert (dataset.Modality, dataset.SegmentationType, dataset.SegmentsOverlap) == ("SEG", "BINARY", "YES")
    segmentation = highdicom.seg.segread(tmp_path / "out" / "ct_regions.dcm")
    assert [one.SegmentLabel for one in segmentation.SegmentSequence] == list(NAMES)
    sources = [f"1.2.3.4.{number + 1}" for number in range(SHAPE[-1])]
    found = segmentation.get_pixels_by_source_instance(sources, ignore_spatial_locations=True)
    regions = region_predictor(series).regions
    # (slice, row, column, segment) to (x, y, z).
    for place, mask in enumerate(regions.values()):
        # Columns of the series run to the left, rows to the back, as MONAI's reader has them.
        np.testing.assert_array_equal(found[..., place].transpose(2, 1, 0), mask)


def test_a_file_per_region_in_other_formats(
    tiny_region_bundle: Path, scans: Path, predicted: Path, tmp_path: Path
) -> None:
    predict(tiny_region_bundle, [scans / SCAN], tmp_path, format="nrrd", regions="files")
    for place, word in enumerate(("whole", "inner", "outer_edge")):
        image = sitk.ReadImage(tmp_path / f"oblique_{word}_region.seg.nrrd")
        expected = saved(predicted, SCAN, "regions")[..., place]
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, expected)


def test_statistics_have_regions_as_well(tiny_region_bundle: Path, predicted: Path) -> None:
    content = json.loads((predicted / "oblique_statistics.json").read_text())
    assert [row["name"] for row in content["labels"]] == ["core", "rim"]
    assert [row["name"] for row in content["regions"]] == list(NAMES)
    counts = saved(predicted, SCAN, "regions").reshape(-1, 3).sum(axis=0)
    assert [row["voxels"] for row in content["regions"]] == counts.tolist()
    volume = abs(np.linalg.det(AXES["oblique"])) / 1000
    np.testing.assert_allclose([row["volume_ml"] for row in content["regions"]], counts * volume, rtol=1e-5)
    rows = list(csv.DictReader(io.StringIO((predicted / "statistics.csv").read_text())))
    assert len(rows) == len(AXES) * 5
    of_scan = [row for row in rows if row["scan"] == "oblique"]
    assert [(row["label"], row["name"]) for row in of_scan] == [
        ("1", "core"),
        ("2", "rim"),
        *(("", name) for name in NAMES),
    ]
    assert [int(row["voxels"]) for row in of_scan[2:]] == counts.tolist()


def test_tables_and_report_name_labels_and_regions_and_no_ignored_value(predicted: Path) -> None:
    report = json.loads((predicted / "report.json").read_text())
    assert report["labels"] == {"core": 1, "rim": 2}
    assert report["regions"] == list(NAMES)
    rows = [line.split()[:2] for line in (predicted / "labels.ctbl").read_text().splitlines()[1:]]
    assert rows == [["0", "background"], ["1", "core"], ["2", "rim"]]
    lines = (predicted / "labels.txt").read_text().splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["0", "1", "2"]
    assert all(saved(predicted, name).max() <= 2 for name in AXES)


@pytest.mark.slow
def test_a_finished_folder_gets_the_files_that_are_missing(
    tiny_region_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    assert [one.status for one in predict(tiny_region_bundle, [scans / SCAN], tmp_path).results] == ["done"]
    again = predict(tiny_region_bundle, [scans / SCAN], tmp_path, regions="files")
    assert [one.status for one in again.results] == ["done"]
    assert len(again.results[0].outputs) == 4
    third = predict(tiny_region_bundle, [scans / SCAN], tmp_path, regions="files")
    assert [one.status for one in third.results] == ["skipped"]
    assert third.report["regions"] == list(NAMES)
    (tmp_path / "oblique_inner_region.nii.gz").unlink()
    assert [one.status for one in predict(tiny_region_bundle, [scans / SCAN], tmp_path, regions="files").results] == [
        "done"
    ]


@pytest.mark.slow
def test_shards_write_what_one_process_writes(
    tiny_region_bundle: Path, scans: Path, predicted: Path, tmp_path: Path
) -> None:
    for shard in ("1/2", "2/2"):
        predict(tiny_region_bundle, [scans], tmp_path, regions="channels", statistics=True, shard=shard)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["regions"] == list(NAMES)
    assert (tmp_path / "statistics.csv").read_bytes() == (predicted / "statistics.csv").read_bytes()
    for name in AXES:
        assert saved(tmp_path, name, "regions").tobytes() == saved(predicted, name, "regions").tobytes()


def test_jobs_write_regions(tiny_region_bundle: Path, scans: Path, predicted: Path, tmp_path: Path) -> None:
    replies: list[Any] = []
    request = Request(tiny_region_bundle, (), Path(), Wanted(regions="channels"), device="cpu", runtime="pytorch")
    line = json.dumps({"scan": str(scans / SCAN), "output": str(tmp_path)})
    assert run_jobs(request, [line], replies.append, output=None) == 0
    assert replies[0]["regions"] == list(NAMES)
    np.testing.assert_array_equal(saved(tmp_path, SCAN, "regions"), saved(predicted, SCAN, "regions"))


def test_the_command_line_has_the_option(
    tiny_region_bundle: Path, scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(tiny_region_bundle), str(scans / SCAN), "-o", str(tmp_path / "x_seg.nii.gz")]
    assert main([*words, "--regions", "files", "--device", "cpu"]) == 0
    assert sorted(file.name for file in tmp_path.glob("x_*")) == [
        "x_inner_region.nii.gz",
        "x_outer_edge_region.nii.gz",
        "x_seg.nii.gz",
        "x_whole_region.nii.gz",
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"regions": "files"}, "a bundle that predicts labels"),
        ({"regions": "masks"}, "'masks'"),
    ],
)
def test_regions_of_a_bundle_without_any_are_refused(
    wanted: dict[str, str], found: str, tiny_bundle: Path, scans: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as raised:
        predict(tiny_bundle, [scans / SCAN], tmp_path / "out", **wanted)
    assert raised.value.found == found
    assert not (tmp_path / "out").exists()


def test_one_png_cannot_hold_overlapping_regions(tiny_region_bundle: Path, scans: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nrrd, dicom-seg or rtstruct"):
        predict(tiny_region_bundle, [scans / SCAN], tmp_path / "out", regions="channels", format="png")


def test_names_of_files_are_safe_and_different(tmp_path: Path) -> None:
    wanted = Wanted(regions="files").for_regions(["a/b", "a b", "A b", "ödem", "../x"])
    names = [file.name for file in Outputs.of("s", tmp_path, wanted).regions]
    assert names == [f"s_{word}_region.nii.gz" for word in ("a_b", "a_b_2", "A_b_3", "ödem", "x")]


def test_the_files_say_which_regions_there_are(tiny_region_bundle: Path) -> None:
    files = read_bundle_files(tiny_region_bundle)
    assert files.regions == NAMES
    assert files.labels == {"background": 0, "core": 1, "rim": 2}
    assert next_command(tiny_region_bundle).startswith("lightskip predict ")


@pytest.mark.parametrize(
    ("key", "value"), [(0, {"softmax": True}), (1, {"nearest_interp": True}), (0, {"sigmoid": True, "softmax": True})]
)
def test_a_config_with_other_steps_is_refused(key: int, value: dict[str, Any], tiny_region_bundle: Path) -> None:
    file = tiny_region_bundle / "configs" / "inference.json"
    config = json.loads(file.read_text())
    step = config["postprocessing"]["transforms"][key]
    config["postprocessing"]["transforms"][key] = {"_target_": step["_target_"], "keys": "pred", **value}
    with pytest.raises(InputError, match="sigmoid, Invertd and DecodeRegionsd"):
        require_decision(file, config)


def test_ignored_voxels_of_a_reference_have_no_labels_value(tmp_path: Path) -> None:
    reference = np.array([[0, 1, 255, 254, 2]], np.uint8)[..., None]
    nib.save(nib.Nifti1Image(reference, np.eye(4)), tmp_path / "label.nii.gz")
    prediction = np.array([[1, 1, 1, 0, 2]], np.uint8)[..., None]
    labels = {"background": 0, "core": 1, "rim": 2}
    found, _ = read_reference(str(tmp_path / "label.nii.gz"), prediction, labels, None, ignored=[254, 255])
    assert found.ravel().tolist() == [0, 1, 3, 3, 2]
    assert prediction.ravel().tolist() == [1, 1, 1, 0, 2]


@pytest.mark.parametrize(
    ("annotated", "values"),
    [(None, None), (["rim"], {2}), (["core", "rim"], None), (["whole"], set())],
)
def test_a_case_counts_for_the_labels_that_it_names(
    annotated: list[str] | None, values: set[int] | None, tiny_region_bundle: Path
) -> None:
    plan = load_plan(tiny_region_bundle)
    assert find_annotated({"annotated": annotated} if annotated else {}, plan) == values
