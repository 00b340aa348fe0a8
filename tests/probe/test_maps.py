"""Maps as files: in the scan's grid, with the values that the network computes."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from pipeline.bundle.launch import prepare
from pipeline.networks import Skip
from pipeline.probe import probe_bundle
from pipeline.probe.maps import MAX_MAPS, _Seen
from pipeline.probe.session import Session

FILES = ["case_0_image.png", "case_0_image_level0.nii.gz", "case_0_image_level1.nii.gz"]


@pytest.fixture(params=["bundle", "flat_bundle"])
def each_bundle(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.slow
def test_files_are_in_the_grid_of_the_scan(each_bundle: Path, tmp_path: Path) -> None:
    done = probe_bundle(each_bundle, tmp_path / "out", probes=["none"], maps=True, cases=["case_0_image"])
    assert done.results is None
    assert sorted(path.name for path in (tmp_path / "out" / "maps").iterdir()) == FILES
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["maps"]
    assert sorted(done.files) == sorted((tmp_path / "out" / "maps").iterdir())
    scan = nib.load(each_bundle / "data" / "case_0_image.nii.gz")
    for level, maps in ((0, 3), (1, 8)):
        written = nib.load(tmp_path / "out" / "maps" / f"case_0_image_level{level}.nii.gz")
        assert written.shape == (*scan.shape, *[1] * (3 - len(scan.shape)), maps)
        assert np.array_equal(written.affine, scan.affine)
        for code in ("qform_code", "sform_code"):
            assert written.header[code] == scan.header[code]
        assert written.get_data_dtype() == np.float32
    with Image.open(tmp_path / "out" / "maps" / "case_0_image.png") as picture:
        assert min(picture.size) > 300
        assert len(np.unique(np.asarray(picture))) > 50


@pytest.mark.slow
def test_maps_of_a_picture(picture_bundle: Path, tmp_path: Path) -> None:
    done = probe_bundle(picture_bundle, tmp_path / "out", probes=["off"], maps=True, cases=["case_0_image"])
    assert done.results is not None
    gated, scaled = done.results.summary["levels"]
    assert 0 < gated["gates"]["gate"] < 1
    assert scaled["alpha"] == pytest.approx(1.0)
    gate = nib.load(tmp_path / "out" / "maps" / "case_0_image_level0.nii.gz")
    assert gate.shape[:2] == (20, 12)
    assert 0 < gate.get_fdata().min() < gate.get_fdata().max() < 1


@pytest.mark.slow
def test_values_are_those_that_the_network_keeps(each_bundle: Path, tmp_path: Path) -> None:
    # Case 2 is as large as a window, so there is one window and nothing is joined or resampled.
    probe_bundle(each_bundle, tmp_path / "out", probes=["none"], maps=True, cases=["case_2_image"])
    network = Session(prepare("evaluate", each_bundle, [])).network
    image = nib.load(each_bundle / "data" / "case_2_image.nii.gz").get_fdata()
    image = (image - image.mean()) / image.std()
    # The scan's first axis runs to the left, the network's to the right.
    x = torch.as_tensor(image[::-1].copy(), dtype=torch.float32)[None, None]
    fine = network.encoder[0](x)  # type: ignore[index, operator]
    coarse = network.encoder[1](fine)  # type: ignore[index, operator]
    skips = list(network.skips().values())  # type: ignore[operator]
    mode = "bilinear" if x.dim() == 4 else "trilinear"
    for level, expected in enumerate([skips[0].keep(fine), functional.interpolate(coarse, scale_factor=2, mode=mode)]):
        written = nib.load(tmp_path / "out" / "maps" / f"case_2_image_level{level}.nii.gz").get_fdata()
        found = np.moveaxis(written[::-1], -1, 0).reshape(expected[0].shape)
        np.testing.assert_allclose(found, expected[0].numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_first_three_cases_are_the_default(flat_bundle: Path, tmp_path: Path) -> None:
    probe_bundle(flat_bundle, tmp_path / "out", probes=["none"], maps=True, levels=[1])
    pictures = sorted(path.stem for path in (tmp_path / "out" / "maps").glob("*.png"))
    assert pictures == ["case_0_image", "case_1_image", "case_2_image"]
    assert len(list((tmp_path / "out" / "maps").glob("*.nii.gz"))) == 3


@pytest.mark.parametrize(
    ("skip", "content", "maps"),
    [
        ("sat", "1 map", 1),
        ("concat", f"mean absolute value of {MAX_MAPS + 1} channels", 1),
        ("attention_gate", "gate of positions", 1),
        ("sse", "gate of positions", 1),
        ("scse", "gate of positions", 1),
        ("cse", f"mean absolute value of {MAX_MAPS + 1} channels", 1),
    ],
)
def test_what_is_shown_of_a_skip(skip: str, content: str, maps: int) -> None:
    from pipeline.probe.gates import watch_gates  # noqa: PLC0415
    from pipeline.probe.transfers import replace_transfer  # noqa: PLC0415

    channels = MAX_MAPS + 1
    module = Skip[skip](2, channels, channels).eval()
    seen = _Seen()
    x = torch.randn(1, channels, 4, 4)
    with torch.no_grad(), replace_transfer(module, seen.record), watch_gates(module, seen.see):
        module(x, x)
    shown, found = seen.choose()
    assert found == content
    assert shown.shape == (1, maps, 4, 4)
    if skip == "concat":
        torch.testing.assert_close(shown[:, 0], x.abs().mean(dim=1))
