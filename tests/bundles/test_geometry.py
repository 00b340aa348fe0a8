"""Label maps lie where the structure lies, whatever the scan's orientation, obliqueness and spacing.

The network is replaced by a 1x1x1 convolution that calls everything bright label 1, so that the way of a scan through
the recipe (orientation, spacing, windows, inverse, header) is all that is tested. The truth is computed from the
scan's affine alone.
"""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from nibabel.orientations import axcodes2ornt, io_orientation
from scipy.spatial.transform import Rotation

INFERENCE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "configs" / "inference.json"
CENTRE, RADIUS = np.array([9.0, -6.0, 4.0]), 9.0  # mm; off the middle on every axis, so that a flip shows
SHAPE = (44, 40, 30)

AFFINES = {
    "RAS": ("RAS", (1.0, 1.2, 1.8), 0.0),
    "LPS": ("LPS", (1.0, 1.2, 1.8), 0.0),
    "PIR": ("PIR", (1.5, 1.5, 1.5), 0.0),
    "SLA": ("SLA", (1.4, 1.0, 2.0), 0.0),
    "oblique": ("RAS", (1.1, 1.3, 2.0), 20.0),
    "oblique and flipped": ("LPI", (1.1, 1.3, 2.0), -15.0),
}

TOWARDS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


def affine_of(axcodes: str, spacing: tuple[float, ...], degrees: float) -> np.ndarray:
    rotation = Rotation.from_euler("xyz", [degrees, degrees / 2, -degrees], degrees=True).as_matrix()
    axes = np.stack([TOWARDS[letter] for letter in axcodes], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = rotation @ axes * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)  # the volume's middle at the world's origin
    return affine


def distance_to_centre(affine: np.ndarray) -> np.ndarray:
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return np.linalg.norm(voxels @ affine[:3, :3].T + affine[:3, 3] - CENTRE, axis=-1)


@pytest.mark.slow
@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("description", AFFINES.values(), ids=AFFINES)
def test_the_label_map_is_where_the_ball_is(tmp_path: Path, description: tuple[str, tuple[float, ...], float]) -> None:
    affine = affine_of(*description)
    # A soft edge of some mm: half its height at the radius, wherever the voxel centres lie.
    ball = 1 / (1 + np.exp(distance_to_centre(affine) - RADIUS))
    (tmp_path / "scans").mkdir()
    nib.save(nib.Nifti1Image(ball.astype(np.float32), affine), tmp_path / "scans" / "ball.nii.gz")
    # The recipe's z-score of half the height.
    segment(tmp_path, brighter_than=(0.5 - ball.mean()) / ball.std())
    saved = nib.load(tmp_path / "out" / "ball_seg.nii.gz")
    np.testing.assert_allclose(saved.affine, affine, atol=1e-5)
    truth = distance_to_centre(affine) < RADIUS
    found = np.asanyarray(saved.dataobj) == 1
    # A shift d of a ball of radius r costs about 3/4 d/r: one voxel of 1 mm would leave 0.92. Resampling costs less.
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.95
    # The centre of mass, in mm: a shift of half a voxel would show.
    middle = affine[:3, :3] @ np.argwhere(found).mean(axis=0) + affine[:3, 3]
    np.testing.assert_allclose(middle, CENTRE, atol=0.25)


def segment(folder: Path, *, brighter_than: float) -> None:
    network = torch.nn.Conv3d(1, 4, 1)
    with torch.no_grad():
        network.weight[:] = torch.tensor([0.0, 20.0, 0.0, 0.0]).view(4, 1, 1, 1, 1)
        network.bias[:] = torch.tensor([0.0, -20.0 * brighter_than, -50.0, -50.0])
    torch.save(network.state_dict(), folder / "model.pt")
    workflow = ConfigWorkflow(
        config_file=str(INFERENCE),
        workflow_type="infer",
        dataset_dir=str(folder / "scans"),
        output_dir=str(folder / "out"),
        checkpoint=str(folder / "model.pt"),
        precision="float32",
        network_def={"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 4, "kernel_size": 1},
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def test_the_affines_of_this_test_are_what_they_are_called() -> None:
    for axcodes, spacing, degrees in AFFINES.values():
        affine = affine_of(axcodes, spacing, degrees)
        np.testing.assert_allclose(nib.affines.voxel_sizes(affine), spacing)
        np.testing.assert_array_equal(io_orientation(affine), axcodes2ornt(axcodes))
