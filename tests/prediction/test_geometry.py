"""Geometry is a promise: every label where its voxel is, in a file with its scan's own header.

One anatomy in all kinds of grids and headers is segmented by `predict_files` and by MONAI's own runner of the same
bundle, and both give the same. Besides, label maps are compared with what the network says of the bare array, with the
anatomy in the world, and with each other under all turns of the axes.
"""

from collections.abc import Callable
from functools import partial
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference
from monai.transforms import LoadImage
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from PIL import Image
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pipeline.inference import windows
from pipeline.inference.windows import Windows
from pipeline.prediction import memory
from pipeline.prediction.command import Request, predict_files
from pipeline.prediction.outputs import Wanted
from pipeline.prediction.predictor import Prediction, Predictor

TURNED = Rotation.from_euler("xyz", [20, -10, 15], degrees=True).as_matrix()
# A tilted gantry: each slice lies a little further along y.
TILTED = np.array([[1, 0, 0], [0, 1, 0.25], [0, 0, 1]])
# Axes (mm) and shape.
GRIDS = {
    "own": (np.eye(3), (26, 23, 20)),
    "anisotropic": (np.diag([1.0, 1.5, 2.5]), (26, 17, 10)),
    "fine": (np.diag([0.5, 0.5, 1.0]), (45, 40, 20)),
    "oblique": (TURNED, (26, 23, 20)),
    "oblique_anisotropic": (TURNED @ np.diag([1.1, 1.3, 2.0]), (24, 19, 12)),
    "sheared": (TILTED, (26, 23, 20)),
    "sheared_oblique_anisotropic": (TURNED @ TILTED @ np.diag([1.0, 1.2, 2.0]), (26, 19, 12)),
    "flipped": (TURNED @ np.diag([-1.0, 1.3, -2.0]), (24, 19, 12)),
    "left_handed": (np.array([[0, 0, 2.0], [-1.2, 0, 0], [0, -1.0, 0]]), (19, 21, 12)),
    "small": (np.eye(3), (12, 11, 9)),
    "one_slice": (TURNED @ np.diag([1.0, 1.0, 3.0]), (24, 22, 1)),
}
TURNS = [
    np.array([*zip(order, signs, strict=True)])
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]
GEOMETRY = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


def grid(name: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """Affine (mm) and shape of a grid with the world's origin in its middle voxel."""
    axes, shape = GRIDS[name]
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = -axes @ (np.array(shape) // 2)
    return affine, shape


def places(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where the voxels lie in the world: (*shape, 3), mm."""
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


@pytest.fixture(scope="session")
def anatomy(phantom: Callable[[np.ndarray], np.ndarray]) -> Callable[[str], np.ndarray]:
    """Voxels of the phantom in one of the grids, float32."""
    return lambda name: phantom(places(*grid(name))).astype(np.float32)


def nifti(
    file: Path,
    voxels: np.ndarray,
    affine: np.ndarray,
    *,
    kind: type[nib.Nifti1Pair] = nib.Nifti1Image,
    order: str = "<",
    dtype: type = np.float32,
    scale: tuple[float, float] = (1.0, 0.0),
    codes: tuple[int, int] = (1, 1),
    moved: float = 0.0,
    units: int = 10,
    pixdim: tuple[float, ...] | None = None,
) -> Path:
    """Write NIfTI.

    Args:
        file: to write.
        voxels: in the scan's units.
        affine: of the sform, and of the qform as far as that can have it: without shear.
        kind: one file or two, NIfTI-1 or NIfTI-2.
        order: of bytes.
        dtype: in the file.
        scale: slope and intercept.
        codes: of the qform and the sform.
        moved: mm by which the qform lies elsewhere.
        units: code of space and time.
        pixdim: put into the file's bytes, past what nibabel would repair.
    """
    header = kind.header_class(endianness=order)
    header.set_data_dtype(dtype)
    image = kind(voxels, affine, header)
    elsewhere = affine.copy()
    elsewhere[:3, 3] += moved
    image.set_qform(elsewhere, code=codes[0], strip_shears=True)
    image.set_sform(affine, code=codes[1])
    image.header["xyzt_units"] = units
    image.header.set_slope_inter(*scale)
    nib.save(image, file)
    if pixdim is not None:
        content = bytearray(file.read_bytes())
        np.ndarray((), kind.header_class.template_dtype.newbyteorder(order), content)["pixdim"] = pixdim
        file.write_bytes(content)
    return file


def itk(file: Path, voxels: np.ndarray, affine: np.ndarray) -> Path:
    """Write what SimpleITK writes, whose world is LPS."""
    lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    image = sitk.GetImageFromArray(voxels.T)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:, 3].tolist())
    sitk.WriteImage(image, file)
    return file


# File, grid, how it is written.
SCANS: dict[str, tuple[str, Callable[..., Path]]] = {
    **{f"{name}.nii.gz": (name, nifti) for name in GRIDS},
    "plain.nii": ("oblique_anisotropic", nifti),
    "big_endian.nii": ("oblique_anisotropic", partial(nifti, order=">")),
    "scaled.nii.gz": ("oblique_anisotropic", partial(nifti, dtype=np.int16, scale=(0.25, -1000.0))),
    "big_endian_scaled.nii.gz": ("left_handed", partial(nifti, order=">", dtype=np.int16, scale=(0.25, 50.0))),
    "float64.nii.gz": ("oblique", partial(nifti, dtype=np.float64)),
    "qform_only.nii.gz": ("oblique_anisotropic", partial(nifti, codes=(1, 0))),
    "qform_only_left_handed.nii.gz": ("left_handed", partial(nifti, codes=(1, 0))),
    "sform_only.nii.gz": ("sheared_oblique_anisotropic", partial(nifti, codes=(0, 1))),
    "sform_of_an_atlas.nii.gz": ("oblique_anisotropic", partial(nifti, codes=(1, 4))),
    "two_codes.nii.gz": ("oblique_anisotropic", partial(nifti, codes=(1, 2), moved=7.5)),
    "two_codes_with_a_shear.nii.gz": ("sheared", partial(nifti, codes=(3, 2), moved=-3.25)),
    "no_code.nii.gz": ("anisotropic", partial(nifti, codes=(0, 0))),
    "no_units.nii.gz": ("oblique", partial(nifti, units=0)),
    "negative_sizes.nii": ("oblique_anisotropic", partial(nifti, pixdim=(1, -1.1, -1.3, 2, 0, 0, 0, 0))),
    "negative_qfac.nii": ("flipped", partial(nifti, codes=(1, 2))),
    "qfac_of_zero.nii": ("oblique_anisotropic", partial(nifti, pixdim=(0, 1.1, 1.3, 2, 0, 0, 0, 0))),
    "second.nii.gz": ("oblique_anisotropic", partial(nifti, kind=nib.Nifti2Image)),
    "second_big_endian.nii": ("flipped", partial(nifti, kind=nib.Nifti2Image, order=">")),
    "pair.hdr": ("oblique_anisotropic", partial(nifti, kind=nib.Nifti1Pair)),
    "pair_flipped.img": ("flipped", partial(nifti, kind=nib.Nifti1Pair)),
    "pair_sheared.img": ("sheared", partial(nifti, kind=nib.Nifti1Pair, codes=(0, 1))),
    "nrrd.nrrd": ("oblique_anisotropic", itk),
    "nrrd_left_handed.nrrd": ("left_handed", itk),
    "mha.mha": ("oblique_anisotropic", itk),
    "mha_flipped.mha": ("flipped", itk),
}
NIFTI = [name for name in SCANS if not name.endswith((".nrrd", ".mha"))]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory, anatomy: Callable[[str], np.ndarray]) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scans")
    return {file: write(folder / file, anatomy(name), grid(name)[0]) for file, (name, write) in SCANS.items()}


@pytest.fixture(scope="module")
def predicted(tiny_bundle: Path, scans: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that our own prediction of all scans wrote."""
    folder = tmp_path_factory.mktemp("ours")
    wanted = Wanted(probabilities=True)
    summary = predict_files(Request(tiny_bundle, [*scans.values()], folder, wanted, device="cpu", progress=False))
    assert [result.error for result in summary.results if result.error] == []
    assert len(summary.results) == len(scans)
    return folder


@pytest.fixture(scope="module")
def by_monai(
    tiny_bundle: Path,
    scans: dict[str, Path],
    run_by_monai: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder that MONAI's runner of the bundle wrote for the same scans."""
    folder = tmp_path_factory.mktemp("monai")
    run_by_monai(tiny_bundle, [*scans.values()], folder)
    return folder


def saved(folder: Path, scan: str, what: str = "seg") -> nib.Nifti1Image:
    return nib.load(folder / f"{scan.split('.', 1)[0]}_{what}.nii.gz")


def assert_same(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """All three labels are there, each where it is the most probable; what is as probable within rounding may be it."""
    second, first = np.moveaxis(np.sort(probabilities, axis=-1)[..., -2:], -1, 0)
    clear = first - second > 1e-4
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(labels[clear], probabilities.argmax(axis=-1)[clear])
    assert np.bincount(labels.ravel(), minlength=3).min() > 0.02 * labels.size


@pytest.mark.slow
@pytest.mark.parametrize("name", SCANS)
def test_the_voxels_are_those_of_monais_runner(name: str, predicted: Path, by_monai: Path) -> None:
    labels, theirs = (np.asanyarray(saved(folder, name).dataobj) for folder in (predicted, by_monai))
    probabilities = saved(by_monai, name, "prob").get_fdata()
    assert labels.dtype == np.uint8
    assert_same(labels, probabilities)
    assert (labels != theirs).mean() < 0.001
    np.testing.assert_allclose(saved(predicted, name, "prob").get_fdata(), probabilities, atol=1e-4)


@pytest.mark.parametrize("what", ["seg", "prob"])
@pytest.mark.parametrize("name", NIFTI)
def test_the_header_has_the_scans_geometry_byte_for_byte(
    name: str, what: str, scans: dict[str, Path], predicted: Path
) -> None:
    scan = header_start(scans[name].with_suffix(".hdr") if "pair" in name else scans[name])
    output = header_start(Path(saved(predicted, name, what).get_filename()))
    little = int.from_bytes(scan[:4], "little") < 1000
    size = int.from_bytes(scan[:4], "little" if little else "big")
    # The first field, the header's size, tells version and byte order.
    assert output[:4] == scan[:4]
    dtype = {348: nib.Nifti1Header, 540: nib.Nifti2Header}[size].template_dtype
    for field in GEOMETRY:
        kind, start = dtype.fields[field]
        assert output[start : start + kind.itemsize] == scan[start : start + kind.itemsize], field
    # Sizes along the axes in space.
    kind, start = dtype.fields["dim"]
    each = kind.itemsize // 8
    assert output[start + each : start + 4 * each] == scan[start + each : start + 4 * each]


def header_start(file: Path) -> bytes:
    with nib.openers.ImageOpener(str(file)) as stream:
        return bytes(stream.read(540))


@pytest.mark.parametrize("name", NIFTI)
def test_nibabel_reads_the_same_geometry(name: str, scans: dict[str, Path], predicted: Path) -> None:
    scan, labels = nib.load(scans[name]), saved(predicted, name)
    assert labels.shape == scan.shape
    np.testing.assert_array_equal(labels.affine, scan.affine)
    for form in ("get_qform", "get_sform"):
        mine, theirs = getattr(labels, form)(coded=True), getattr(scan, form)(coded=True)
        assert mine[1] == theirs[1]
        np.testing.assert_array_equal(mine[0], theirs[0])
    assert labels.header.get_xyzt_units() == scan.header.get_xyzt_units()
    # And none of the scan's scaling: labels are labels.
    assert labels.dataobj.slope == 1
    assert labels.dataobj.inter == 0


@pytest.mark.parametrize("name", SCANS)
def test_simpleitk_reads_the_same_geometry(name: str, scans: dict[str, Path], predicted: Path) -> None:
    output = Path(saved(predicted, name).get_filename())
    try:
        scan = sitk.ReadImage(scans[name])
    except RuntimeError:
        # It takes no NIfTI-2 and no shear without a qform, in a label map no more than in a scan.
        assert name.startswith(("second", "sform_only", "pair_sheared"))
        with pytest.raises(RuntimeError):
            sitk.ReadImage(output)
        return
    labels = sitk.ReadImage(output)
    exact = 0 if name in NIFTI else 1e-5  # NIfTI has its numbers in float32
    assert labels.GetSize() == scan.GetSize()
    for part in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(labels, part)(), getattr(scan, part)(), rtol=0, atol=exact)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels).T, np.asanyarray(saved(predicted, name).dataobj))


@pytest.mark.parametrize(
    "name",
    [
        "own",
        "one_slice",
        "oblique_anisotropic",
        # Each takes 5 seconds, and has a part of the one above, or more of it.
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("anisotropic", "oblique", "sheared_oblique_anisotropic")
        ),
    ],
)
def test_the_same_anatomy_gives_the_same_labels_however_its_axes_run(
    name: str, predictor: Predictor, anatomy: Callable[[str], np.ndarray]
) -> None:
    voxels, (affine, shape) = anatomy(name), grid(name)
    expected = predictor(voxels, affine=affine, probabilities=True)
    assert len(TURNS) == 48
    for turn in TURNS:
        # nibabel's turns of arrays and of affines: the world stays the same.
        turned = predictor(apply_orientation(voxels, turn), affine=affine @ inv_ornt_aff(turn, shape))
        assert_same(turned.labels, apply_orientation(expected.probabilities, turn))


@pytest.mark.slow
def test_turned_files_give_turned_label_maps(
    tiny_bundle: Path, predictor: Predictor, anatomy: Callable[[str], np.ndarray], tmp_path: Path
) -> None:
    name = "oblique_anisotropic"
    voxels, (affine, shape) = anatomy(name), grid(name)
    affine = affine.astype(np.float32).astype(np.float64)  # as a file has it
    expected = predictor(voxels, affine=affine, probabilities=True)
    files = [
        nifti(tmp_path / f"{number}.nii", apply_orientation(voxels, turn), affine @ inv_ornt_aff(turn, shape))
        for number, turn in enumerate(TURNS)
    ]
    predict_files(Request(tiny_bundle, [tmp_path], tmp_path / "out", device="cpu", progress=False))
    for file, turn in zip(files, TURNS, strict=True):
        labels = saved(tmp_path / "out", file.name)
        np.testing.assert_array_equal(labels.affine, nib.load(file).affine)
        assert_same(np.asanyarray(labels.dataobj), apply_orientation(expected.probabilities, turn))


def test_in_the_networks_own_grid_the_labels_are_what_the_network_says(
    predictor: Predictor, anatomy: Callable[[str], np.ndarray]
) -> None:
    """No transform of space is needed, and none of MONAI's is used here."""
    for name in ("own", "small"):
        voxels = anatomy(name)
        image = torch.as_tensor((voxels - voxels.mean()) / voxels.std())[None, None]
        with torch.no_grad():
            logits = sliding_window_inference(
                image, (16, 16, 16), 1, predictor.bundle.network, overlap=0.5, mode="gaussian"
            )
        probabilities = np.moveaxis(torch.softmax(logits[0], dim=0).numpy(), 0, -1)
        for found in (predictor(voxels), predictor(voxels, affine=grid(name)[0])):
            assert_same(found.labels, probabilities)


STEEP = 8.0  # of intensity, over 2 mm


@pytest.fixture(scope="module")
def slopes(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A network of differences: 1 where it gets brighter along its first axis, 2 along its last, 0 where neither."""
    network = torch.nn.Conv3d(1, 3, 3, padding=1)
    with torch.no_grad():
        network.weight.zero_()
        network.weight[1, 0, :, 1, 1] = network.weight[2, 0, 1, 1, :] = torch.tensor([-1.0, 0.0, 1.0])
        network.bias.copy_(torch.tensor([STEEP, 0.0, 0.0]))
    checkpoint = tmp_path_factory.mktemp("slopes") / "model.pt"
    torch.save(network.state_dict(), checkpoint)
    options = {"in_channels": 1, "out_channels": 3, "kernel_size": 3, "padding": 1}
    settings = {
        "network_def": {"_target_": "torch.nn.Conv3d", **options},
        # One window for all: at the border of a window differences are to nothing.
        "inferer#roi_size": [32, 32, 32],
        # Intensities as they are: the normalisation's place.
        "preprocessing#transforms#3": {"_target_": "Identityd", "keys": "image"},
    }
    return Predictor(tiny_bundle, checkpoint=checkpoint, device="cpu", settings=settings)


def waves(points: np.ndarray) -> np.ndarray:
    """Intensity by place in the world (mm), smooth over many voxels of every grid."""
    x, y, z = np.moveaxis(points, -1, 0)
    return 100 * np.sin(x / 8 + y / 15 + 0.4) + 90 * np.sin(z / 9 - y / 12 + x / 30 - 0.7)


def network_directions(affine: np.ndarray) -> np.ndarray:
    """Unit vectors (columns) of the axes closest to right, front and head, made orthogonal from the first on."""
    axes, signs = io_orientation(affine).T
    columns = (affine[:3, :3] * signs)[:, axes.argsort()]
    q, r = np.linalg.qr(columns)
    return np.asarray(q * np.sign(np.diag(r)))


@pytest.mark.parametrize("name", [name for name in GRIDS if name not in ("one_slice", "small")])
def test_labels_lie_where_the_anatomy_is_in_the_world(name: str, slopes: Predictor, tmp_path: Path) -> None:
    """The formula of the intensity tells where it rises; nothing of MONAI's and nothing of ours is asked."""
    affine, shape = grid(name)
    points, (along_x, _, along_z) = places(affine, shape), network_directions(affine).T
    scores = np.stack(
        [
            np.full(shape, STEEP),
            *(waves(points + direction) - waves(points - direction) for direction in (along_x, along_z)),
        ],
        axis=-1,
    )
    expected = scores.argmax(axis=-1)
    labels = slopes(nifti(tmp_path / "waves.nii.gz", waves(points), affine)).labels
    second, first = np.moveaxis(np.sort(scores, axis=-1)[..., -2:], -1, 0)
    # Interpolation flattens intensities by a few percent, and over a scan's border there are none.
    known = first - second > 1.5
    known[~ndimage.binary_erosion(np.ones(shape, bool), iterations=2)] = False
    for label in (1, 2):
        assert (expected[known] == label).sum() > 50
    np.testing.assert_array_equal(labels[known], expected[known])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own", "oblique_anisotropic", "sheared", "left_handed", "one_slice"])
def test_voxels_in_memory_are_segmented_like_their_file(
    name: str, predictor: Predictor, scans: dict[str, Path]
) -> None:
    file = scans[f"{name}.nii.gz"]
    image = nib.load(file)
    voxels = np.asanyarray(image.dataobj)
    expected = predictor(file)
    loaded = LoadImage(image_only=True)(file)
    turned = voxels[::-1].transpose(2, 0, 1)  # a view that runs backwards
    turn = np.array([(1, -1), (2, 1), (0, 1)])
    given = {
        "array": predictor(voxels, affine=image.affine),
        "array with a channel": predictor(voxels[None], affine=image.affine),
        "array of the other byte order": predictor(voxels.astype(">f4"), affine=image.affine),
        "array of another type": predictor(voxels.astype(np.float64), affine=image.affine),
        "array in the other order": predictor(np.asfortranarray(voxels), affine=image.affine),
        "tensor": predictor(torch.as_tensor(voxels.copy()), affine=image.affine),
        "MetaTensor": predictor(loaded),
        "MetaTensor with a channel": predictor(MetaTensor(loaded.as_tensor()[None], affine=loaded.affine)),
    }
    for way, found in given.items():
        np.testing.assert_array_equal(found.labels, expected.labels, err_msg=way)
        np.testing.assert_allclose(found.affine, image.affine, atol=1e-6, err_msg=way)
    backwards = predictor(turned, affine=image.affine @ inv_ornt_aff(turn, voxels.shape), probabilities=True)
    assert_same(apply_orientation(expected.labels, turn), backwards.probabilities)
    metatensor = expected.metatensor
    assert metatensor.shape == (1, *voxels.shape)
    np.testing.assert_allclose(metatensor.affine, image.affine, atol=1e-6)


def test_voxels_of_no_affine_are_in_the_networks_own_grid(
    predictor: Predictor, flat_predictor: Predictor, anatomy: Callable[[str], np.ndarray]
) -> None:
    for one, voxels in ((predictor, anatomy("own")), (flat_predictor, anatomy("own")[..., 10])):
        found = one(voxels)
        np.testing.assert_array_equal(found.affine, np.eye(4))
        np.testing.assert_array_equal(found.labels, one(voxels, affine=np.eye(4)).labels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "strips"), [*((name, 3) for name in GRIDS), ("own", 64), ("sheared_oblique_anisotropic", 64)]
)
def test_strips_are_voxel_by_voxel_the_same(
    name: str, strips: int, predictor: Predictor, anatomy: Callable[[str], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict() -> Prediction:
        return predictor(anatomy(name), affine=grid(name)[0], probabilities=True, uncertainty=True)

    whole = predict()
    asked = []
    monkeypatch.setattr(predictor.budget, "strip_count", lambda *_, **__: asked.append(strips) or strips)
    cut = predict()
    assert asked == [strips]
    assert_same(cut.labels, whole.probabilities)
    np.testing.assert_allclose(cut.probabilities, whole.probabilities, atol=1e-5)
    np.testing.assert_allclose(cut.entropy, whole.entropy, atol=1e-5)
    assert cut.uncertainty == pytest.approx(whole.uncertainty, abs=1e-4)


def test_memory_that_is_short_cuts_a_scan_into_strips(
    predictor: Predictor, anatomy: Callable[[str], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = predictor.prepare(anatomy("oblique_anisotropic"), affine=grid("oblique_anisotropic")[0])
    whole = predictor.segment(prepared)
    monkeypatch.setattr(windows, "CHUNK_BYTES", 1)
    monkeypatch.setattr(memory, "resident_bytes", lambda: 0)
    slab = Windows(predictor.bundle.inferer, prepared.image, classes=3, device=torch.device("cpu"))
    cuts: list[int] = []
    strips = Windows.strips
    monkeypatch.setattr(Windows, "strips", lambda self, most: cuts.append(most) or strips(self, most))
    for count in (1, 3):
        enough = memory._PLACES + int(np.prod(prepared.scan_shape)) + slab.slab_bytes(count)
        monkeypatch.setattr(predictor, "budget", memory.Budget(enough, torch.device("cpu"), window=0))
        np.testing.assert_array_equal(predictor.segment(prepared).labels, whole.labels)
        assert cuts[-1] == count


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["nrrd.nrrd", "nrrd_left_handed.nrrd", "mha_flipped.mha", "oblique_anisotropic.nii.gz"]
)
def test_nrrd_files_have_the_same_voxels_in_the_same_place(
    name: str, tiny_bundle: Path, scans: dict[str, Path], predicted: Path, tmp_path: Path
) -> None:
    predict_files(Request(tiny_bundle, [scans[name]], tmp_path, Wanted(format="nrrd"), device="cpu", progress=False))
    labels, scan = sitk.ReadImage(tmp_path / f"{name.split('.', 1)[0]}.seg.nrrd"), sitk.ReadImage(scans[name])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels).T, np.asanyarray(saved(predicted, name).dataobj))
    for part in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(labels, part)(), getattr(scan, part)(), atol=1e-5)


@pytest.fixture(scope="module")
def picture(phantom: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(X, Y): x from left to right, y from top to bottom, as bytes."""
    x, y = np.indices((41, 34))
    return phantom(np.stack([x - 20, y - 17, 0 * x], axis=-1)).round().clip(0, 255).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "tif", "nii.gz"])
def test_a_picture(
    ending: str,
    picture: np.ndarray,
    tiny_flat_bundle: Path,
    flat_predictor: Predictor,
    run_by_monai: Callable[..., None],
    tmp_path: Path,
) -> None:
    file = tmp_path / f"picture.{ending}"
    # MONAI reads PNG with Pillow, which knows no world, and TIFF with ITK, in whose world x and y run the other way.
    affine = np.diag([1.0, 1.0, 1.0, 1.0]) if ending == "png" else np.diag([-1.0, -1.0, 1.0, 1.0])
    if ending == "nii.gz":
        nifti(file, picture, affine, dtype=np.uint8)
    else:
        Image.fromarray(picture.T).save(file)
    wanted = Wanted(probabilities=True)
    summary = predict_files(Request(tiny_flat_bundle, [file], tmp_path / "ours", wanted, device="cpu", progress=False))
    assert summary.results[0].error is None
    run_by_monai(tiny_flat_bundle, [file], tmp_path / "monai")
    # To the right and the front, as the network has it.
    as_the_network = slice(None, None, int(affine[0, 0]))
    values = picture[as_the_network, as_the_network].astype(np.float32)
    image = torch.as_tensor((values - values.mean()) / values.std())[None, None]
    with torch.no_grad():
        network = flat_predictor.bundle.network
        logits = sliding_window_inference(image, (16, 16), 1, network, overlap=0.5, mode="gaussian")
    probabilities = np.moveaxis(torch.softmax(logits[0], dim=0).numpy(), 0, -1)[as_the_network, as_the_network]
    for folder in (tmp_path / "ours", tmp_path / "monai"):
        labels, kept = saved(folder, file.name), saved(folder, file.name, "prob")
        assert labels.shape == picture.shape
        np.testing.assert_array_equal(labels.affine, affine)
        assert_same(np.asanyarray(labels.dataobj), probabilities)
        # Four axes: the one of the classes is none in space.
        assert kept.shape == (*picture.shape, 1, 3)
        np.testing.assert_allclose(kept.get_fdata(), probabilities[:, :, None], atol=1e-5)
    ours, theirs = (Path(saved(tmp_path / one, file.name).get_filename()) for one in ("ours", "monai"))
    assert header_start(ours) == header_start(theirs)


@pytest.mark.parametrize("strips", [2, 64])
def test_a_picture_in_strips(
    strips: int, picture: np.ndarray, flat_predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    affine = np.diag([-0.7, 0.9, 1.0, 1.0])
    whole = flat_predictor(picture, affine=affine, probabilities=True)
    monkeypatch.setattr(flat_predictor.budget, "strip_count", lambda *_, **__: strips)
    cut = flat_predictor(picture, affine=affine, probabilities=True)
    assert_same(cut.labels, whole.probabilities)
    np.testing.assert_allclose(cut.probabilities, whole.probabilities, atol=1e-5)
