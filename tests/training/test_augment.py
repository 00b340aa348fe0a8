import random
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pipeline.data.errors import InputError
from pipeline.training import augment_intensity, augment_spatial
from pipeline.training.augment import AugmentBatch

SHAPE = (12, 16, 10)
NAMES = ("affine", "elastic", "noise", "blur", "brightness", "shift", "contrast", "low_resolution", "gamma")


def augmentation(*, spatial_dims=3, spacing=None, **wanted):
    """Return an augmentation with only the given changes."""
    off = {f"{name}_prob": 0.0 for name in NAMES}
    return AugmentBatch(**{"spatial_dims": spatial_dims, "spacing": spacing or [1.0] * spatial_dims, **off, **wanted})


def everything(**wanted):
    return augmentation(**{"mirror_axes": (0, 1, 2), **{f"{name}_prob": 0.6 for name in NAMES}, **wanted})


def turned(angle, **wanted):
    return augmentation(affine_prob=1, rotate_range=angle, scale_range=(1, 1), **wanted)


def random_batch(keys, *, shape=SHAPE, channels=2, dtype=torch.uint8):
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(len(keys), channels, *shape, generator=generator)
    label = torch.randint(5, (len(keys), 1, *shape), generator=generator).to(dtype)
    return {"image": image, "label": label, "key": torch.tensor(keys)}


def sample_of(batch, sample):
    return {name: value[sample : sample + 1] for name, value in batch.items()}


# --- the batch ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [2, 3])
def test_nothing_drawn_gives_what_came(dims):
    batch = random_batch([1, 2], shape=SHAPE[:dims])
    image, label = augmentation(spatial_dims=dims)({**batch, "image": batch["image"].double()}, "cpu")
    assert torch.equal(image, batch["image"])
    assert image.dtype == torch.float32
    assert torch.equal(label, batch["label"])


@pytest.mark.parametrize("dims", [2, 3])
def test_a_sample_is_set_by_its_key_alone(dims):
    augment = everything(spatial_dims=dims, mirror_axes=(0, 1))
    batch = random_batch([7, -5, 2**62 + 1, 12], shape=SHAPE[:dims])
    batch["image"][:] = batch["image"][:1]
    batch["label"][:] = batch["label"][:1]
    image, label = augment(batch)
    assert all(not torch.equal(image[a], image[b]) for a in range(4) for b in range(a))
    for order in ([3, 1, 0, 2], [2], [0, 0, 1]):
        again = augment({name: value[order] for name, value in batch.items()})
        assert torch.equal(again[0], image[order])
        assert torch.equal(again[1], label[order])


def test_high_bits_of_a_key_count_for_the_noise():
    image, _ = augmentation(noise_prob=1, noise_std=(1, 1))(
        {**random_batch([5, 5 + 2**32]), "image": torch.zeros(2, 1, *SHAPE)}
    )
    assert abs(np.corrcoef(image.flatten(1).numpy())[0, 1]) < 0.1


def test_what_one_change_draws_does_not_depend_on_another():
    batch = random_batch(list(range(20)))
    alone, _ = augmentation(shift_prob=0.5)(batch)
    both, _ = augmentation(shift_prob=0.5, brightness_prob=1, brightness_range=(2, 2), mirror_axes=())(batch)
    torch.testing.assert_close(both - batch["image"], alone, atol=1e-5, rtol=0)


def test_input_and_global_generators_stay():
    batch = random_batch([1, 2, 3, 4])
    before = {name: value.clone() for name, value in batch.items()}
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    image, label = everything()(batch)
    assert not torch.equal(image, batch["image"])
    assert not torch.equal(label, batch["label"])
    assert all(torch.equal(batch[name], before[name]) for name in batch)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_label_keeps_its_type_and_values(dtype):
    batch = random_batch(list(range(6)), dtype=dtype)
    batch["label"][batch["label"] > 1] += 100
    _, label = everything(affine_prob=1, elastic_prob=1)(batch)
    assert label.dtype == dtype
    assert set(label.unique().tolist()) == {0, 1, 102, 103, 104}


def test_every_change_comes_as_often_as_said():
    batch = random_batch(list(range(500)), shape=(4, 4), channels=1)
    augment = augmentation(spatial_dims=2, shift_prob=0.3, shift_range=(1, 2))
    shift = (augment(batch)[0] - batch["image"]).flatten(1).mean(1)
    drawn = shift[shift > 0.5]
    assert len(drawn) / 500 == pytest.approx(0.3, abs=0.06)  # three standard deviations
    assert drawn.min() > 1 - 1e-5
    assert drawn.max() < 2 + 1e-5
    assert drawn.mean().item() == pytest.approx(1.5, abs=0.08)


def test_monais_trainer_augments_with_it():
    cases = [{name: value[0] for name, value in sample_of(random_batch([1, 2], channels=1), i).items()} for i in (0, 1)]
    seen = []

    class Network(torch.nn.Conv3d):
        def forward(self, x):
            seen.append(x.detach().clone())
            return super().forward(x)

    network = Network(1, 1, 1)
    augment = everything()
    SupervisedTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=DataLoader(Dataset(cases), batch_size=2),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        prepare_batch=augment,
        decollate=False,
    ).run()
    assert torch.equal(seen[0], augment(random_batch([1, 2], channels=1))[0])


# --- space --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2), (1,)])
def test_mirrors_the_axes_given(axes):
    batch = random_batch(list(range(32)))
    image, label = augmentation(mirror_axes=axes)(batch)
    subsets = [
        tuple(axis for axis, taken in zip(axes, take, strict=True) if taken)
        for take in product((0, 1), repeat=len(axes))
    ]
    found = set()
    for sample in range(32):
        one = sample_of(batch, sample)
        matching = [
            subset
            for subset in subsets
            if torch.equal(image[sample : sample + 1], one["image"].flip([2 + axis for axis in subset]))
            and torch.equal(label[sample : sample + 1], one["label"].flip([2 + axis for axis in subset]))
        ]
        assert len(matching) == 1
        found.add(matching[0])
    assert found == set(subsets)


def test_mirrors_what_is_also_turned():
    batch = random_batch(list(range(8)))
    plain = augmentation(mirror_axes=(0, 1, 2))(batch)
    deformed = turned([0, 0, 0], mirror_axes=(0, 1, 2))(batch)
    torch.testing.assert_close(deformed[0], plain[0], atol=1e-4, rtol=0)
    assert torch.equal(deformed[1], plain[1])


@pytest.mark.parametrize(("about", "first", "second"), [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_a_quarter_turn_is_rigid_in_mm(about, first, second):
    # The plane is 9 mm wide both ways: nine voxels of 1 mm, five of 2 mm. Every second one of the nine meets a voxel.
    shape, spacing, angles = [3, 3, 3], [4.0, 4.0, 4.0], [0.0, 0.0, 0.0]
    shape[first], shape[second], spacing[first], spacing[second] = 9, 5, 1.0, 2.0
    angles[about] = (np.pi / 2, np.pi / 2)
    batch = random_batch([1], shape=shape, channels=1)
    result = turned(angles, spacing=spacing)(batch)
    for tolerance, *pair in zip((1e-5, 0), (batch["image"], batch["label"]), result, strict=True):
        before, after = (np.moveaxis(x[0, 0].numpy(), (about, first, second), (0, 1, 2))[:, ::2] for x in pair)
        # A voxel on the first axis comes to lie on the second: (y, z) = (1, 0) goes to (0, 1).
        np.testing.assert_allclose(after, np.rot90(before, axes=(1, 2)), atol=tolerance)


def test_a_quarter_turn_in_the_plane():
    batch = random_batch([1], shape=(7, 7), channels=1)
    image, label = turned([(np.pi / 2, np.pi / 2)], spatial_dims=2)(batch)
    np.testing.assert_allclose(image[0, 0], np.rot90(batch["image"][0, 0]), atol=1e-5)
    assert np.array_equal(label[0, 0], np.rot90(batch["label"][0, 0]))


def test_any_turn_and_scale_agrees_with_scipy():
    angles, spacing, scale = (0.3, -0.5, 0.2), (2.0, 0.5, 1.0), 1.3
    batch = random_batch([4], channels=2)
    image, label = augmentation(
        spacing=spacing, affine_prob=1, rotate_range=[(a, a) for a in angles], scale_range=(scale, scale)
    )(batch)
    to_mm = np.diag(spacing)
    move = np.linalg.inv(to_mm) @ Rotation.from_euler("xyz", angles).as_matrix() @ to_mm * scale
    back, centre = np.linalg.inv(move), (np.array(SHAPE) - 1) / 2

    def moved(x, order):
        return ndimage.affine_transform(
            x.numpy(), back, centre - back @ centre, order=order, mode="grid-constant", cval=0.0
        )

    for channel in range(2):
        np.testing.assert_allclose(image[0, channel], moved(batch["image"][0, channel], 1), atol=1e-4)
    # Half way between two voxels is either.
    assert (label[0, 0].numpy() == moved(batch["label"][0, 0], 0)).mean() > 0.999


def test_scale_is_uniform_in_its_logarithm_and_the_same_along_all_axes():
    # A ramp through the middle: its slope is one over the scale.
    ramps = torch.stack(torch.meshgrid(*[torch.arange(9.0) - 4] * 2, indexing="ij"))
    batch = {"image": ramps.repeat(300, 1, 1, 1), "label": torch.zeros(300, 1, 9, 9), "key": torch.arange(300)}
    settings = {"spatial_dims": 2, "affine_prob": 1, "rotate_range": 0, "scale_range": (0.5, 2)}
    slopes = {}
    for per_axis in (False, True):
        image, _ = augmentation(**settings, scale_per_axis=per_axis)(batch)
        slopes[per_axis] = torch.stack([image[:, 0, 5, 4], image[:, 1, 4, 5]], 1)
    torch.testing.assert_close(slopes[False][:, 0], slopes[False][:, 1])
    assert (slopes[True][:, 0] - slopes[True][:, 1]).abs().mean() > 0.1
    for slope in slopes.values():
        assert slope.min() > 0.5 - 1e-5
        assert slope.max() < 2 + 1e-5
        assert slope.log().mean().item() == pytest.approx(0, abs=0.07)


@pytest.mark.parametrize("dims", [2, 3])
def test_image_and_label_move_together(dims):
    blob = np.zeros((24, 32, 28)[:dims], np.uint8)
    blob[(slice(4, 14), slice(9, 27), slice(6, 20))[:dims]] = 1
    blob[(slice(4, 8), slice(9, 20), slice(6, 20))[:dims]] = 0
    label = torch.from_numpy(blob)[None, None].repeat(6, *[1] * (dims + 1))
    batch = {"image": label.float(), "label": label, "key": torch.arange(6)}
    moved = augmentation(
        spatial_dims=dims,
        spacing=(1.0, 1.0, 0.8)[:dims],
        mirror_axes=range(dims),
        affine_prob=1,
        elastic_prob=1,
        elastic_spacing=8,
        elastic_magnitude=(4, 4),
    )(batch)
    for sample in range(6):
        image, mask = moved[0][sample] > 0.5, moved[1][sample] == 1
        assert 2 * (image & mask).sum() / (image.sum() + mask.sum()) > 0.95
        assert 2 * (mask & (label[sample] == 1)).sum() / (mask.sum() + label[sample].sum()) < 0.9


def test_no_voxel_moves_further_than_the_elastic_magnitude():
    spacing, shape = (2.0, 0.5, 1.0), (20, 40, 30)
    ramps = torch.stack(torch.meshgrid(*[torch.arange(float(size)) for size in shape], indexing="ij"))
    batch = {"image": ramps[None], "label": torch.zeros(1, 1, *shape, dtype=torch.uint8), "key": torch.tensor([8])}
    inner = (slice(1, -1), slice(4, -4), slice(2, -2))
    moved = {}
    for magnitude in (1.5, 3.0):  # of shortest edges: 0.75 and 1.5 mm
        image, _ = augmentation(
            spacing=spacing, elastic_prob=1, elastic_spacing=10, elastic_magnitude=(magnitude, magnitude)
        )(batch)
        mm = torch.tensor(spacing)[:, None, None, None]
        moved[magnitude] = ((image[0] - ramps) * mm)[:, *inner]
        largest = moved[magnitude].abs().amax((1, 2, 3))
        assert largest.max() <= 0.5 * magnitude
        assert largest.min() > 0.1 * magnitude
    torch.testing.assert_close(moved[3.0], 2 * moved[1.5], atol=1e-4, rtol=0)


def test_elastic_field_is_scipys_cubic_spline():
    shape, distance = (11, 20), (4.0, 6.5)
    points = augment_spatial.control_shape(shape, distance)
    assert points == (3 + 3, 3 + 3)
    control = torch.randn(2, *points, dtype=torch.float64)
    field = augment_spatial.elastic_field(control, shape, distance)
    at = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) / d + (p - 1) / 2 for n, d, p in zip(shape, distance, points, strict=True)],
        indexing="ij",
    )
    for channel in range(2):
        expected = ndimage.map_coordinates(control[channel].numpy(), at, order=3, prefilter=False)
        np.testing.assert_allclose(field[channel], expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(7, 9), (6, 5, 8), (1, 4, 4)])
def test_reading_agrees_with_grid_sample(shape):
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor(shape).reshape(-1, *[1] * len(shape))
    # Far outside, over the border, inside.
    positions = torch.rand(len(shape), 6, 5, 4, generator=generator)[(..., *[0] * (3 - len(shape)))]
    positions = positions * (sizes + 6) - 3
    image = torch.randn(3, *shape, generator=generator)
    grid = ((2 * positions + 1) / sizes - 1).flip(0).movedim(0, -1)
    for read, mode in ((augment_spatial.read_linear, "bilinear"), (augment_spatial.read_nearest, "nearest")):
        expected = F.grid_sample(image[None], grid[None], mode=mode, align_corners=False)[0]
        torch.testing.assert_close(read(image, positions), expected, atol=1e-5, rtol=0)
        assert expected.count_nonzero() > 0


# --- intensity ----------------------------------------------------------------------------------------------------

IMAGE = torch.randn(2, 14, 11, 9, generator=torch.Generator().manual_seed(1)) * 3 + 5


def test_noise_has_the_standard_deviation_of_its_channel():
    image = torch.zeros(2, 40, 40, 40)
    noise = augment_intensity.add_noise(image + 2, [0.1, 3.0], seed=4) - 2
    assert noise.std((1, 2, 3)).tolist() == pytest.approx([0.1, 3.0], rel=0.02)
    assert (noise.mean((1, 2, 3)) / noise.std((1, 2, 3))).abs().max() < 0.02


def test_blur_is_scipys_gaussian_between_borders():
    blurred = augment_intensity.blur(IMAGE, [0.7, 1.5])
    for channel, sigma in enumerate((0.7, 1.5)):
        whole, inside = (
            ndimage.gaussian_filter(x.astype(np.float64), sigma, mode="constant", truncate=10)
            for x in (IMAGE[channel].numpy(), np.ones(IMAGE.shape[1:]))
        )
        np.testing.assert_allclose(blurred[channel], whole / inside, atol=1e-4)


def test_brightness_and_shift_are_arithmetic():
    assert torch.equal(augment_intensity.change_brightness(IMAGE, [0.5, 2.0])[1], IMAGE[1] * 2)
    assert torch.equal(augment_intensity.add_shift(IMAGE, [0.5, -2.0])[1], IMAGE[1] - 2)


def test_contrast_is_about_the_mean():
    image = torch.tensor([[0.0, 2.0, 4.0, 10.0], [1.0, 1.0, 1.0, 5.0]])
    free = augment_intensity.change_contrast(image, [1.5, 0.5], keep_range=False)
    assert free.tolist() == [[-2.0, 1.0, 4.0, 13.0], [1.5, 1.5, 1.5, 3.5]]
    kept = augment_intensity.change_contrast(image, [1.5, 0.5])
    assert kept.tolist() == [[0.0, 1.0, 4.0, 10.0], [1.5, 1.5, 1.5, 3.5]]


@pytest.mark.parametrize("keep_range", [True, False])
def test_contrast_may_leave_the_range(keep_range):
    batch = random_batch([1])
    image, _ = augmentation(contrast_prob=1, contrast_range=(1.5, 1.5), contrast_keep_range=keep_range)(batch)
    assert (image.max() > batch["image"].max()) != keep_range


def test_low_resolution_is_nearest_down_and_linear_up():
    low = augment_intensity.lower_resolution(IMAGE, [0.5, 0.8])
    for channel, sizes in enumerate([(7, 6, 4), (11, 9, 7)]):
        down = F.interpolate(IMAGE[None, channel : channel + 1], size=sizes, mode="nearest-exact")
        up = F.interpolate(down, size=IMAGE.shape[1:], mode="trilinear", align_corners=False)
        torch.testing.assert_close(low[channel], up[0, 0], atol=1e-4, rtol=0)
    torch.testing.assert_close(augment_intensity.lower_resolution(IMAGE, [1, 1]), IMAGE)


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_is_a_power_that_keeps_mean_and_deviation(inverted):
    exponents = [0.7, 1.5]
    changed = augment_intensity.change_gamma(IMAGE, exponents, inverted=inverted)
    for channel, exponent in enumerate(exponents):
        before, after = (x[channel].double().numpy() for x in (IMAGE, changed))
        assert after.mean() == pytest.approx(before.mean(), abs=1e-4)
        assert after.std() == pytest.approx(before.std(), rel=1e-4)
        scaled = (before - before.min()) / (before.max() - before.min())
        power = 1 - (1 - scaled) ** exponent if inverted else scaled**exponent
        slope, offset = np.polyfit(power.ravel(), after.ravel(), 1)
        assert slope > 0
        np.testing.assert_allclose(after, slope * power + offset, atol=1e-3)


@pytest.mark.parametrize("value", [0.0, -3.7, 1e6])
def test_a_constant_channel_stays_under_gamma_and_contrast(value):
    image = torch.full((1, 9, 11, 7), value)
    torch.testing.assert_close(augment_intensity.change_gamma(image, [1.3]), image)
    torch.testing.assert_close(augment_intensity.change_gamma(image, [1.3], inverted=True), image)
    torch.testing.assert_close(augment_intensity.change_contrast(image, [1.3]), image)


def test_every_channel_draws_its_own_value_and_the_label_none():
    batch = {**random_batch([1, 2, 3]), "image": torch.ones(3, 2, *SHAPE)}
    image, label = augmentation(brightness_prob=1, brightness_range=(0.5, 1.5))(batch)
    factors = image.mean((2, 3, 4))
    assert image.var((2, 3, 4)).max() < 1e-10
    assert len(set(factors.flatten().tolist())) == 6
    assert torch.equal(label, batch["label"])


@pytest.mark.parametrize("name", ["noise", "blur", "brightness", "shift", "contrast", "low_resolution", "gamma"])
def test_every_intensity_change_is_switched_on_by_its_probability(name):
    batch = random_batch([3])
    image, label = augmentation(**{f"{name}_prob": 1})(batch)
    assert not torch.allclose(image, batch["image"], atol=1e-3)
    assert torch.equal(label, batch["label"])
    # None of them makes another image of it.
    assert np.corrcoef(image[0, 0].flatten(), batch["image"][0, 0].flatten())[0, 1] > 0.3


def test_inverted_gamma_spreads_the_other_end():
    batch = random_batch([1])
    skew = []
    for inverted in (0, 1):
        image, _ = augmentation(gamma_prob=1, gamma_range=(2, 2), gamma_inverted_prob=inverted)(batch)
        skew.append(((image - image.mean()) ** 3).mean())
    assert skew[0] > 0 > skew[1]


# --- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("spatial_dims", 4),
        ("spacing", (1.0, 1.0)),
        ("spacing", (1.0, 0.0, 1.0)),
        ("mirror_axes", (0, 3)),
        ("mirror_axes", (1, 1)),
        ("mirror_axes", (-1,)),
        ("affine_prob", 1.1),
        ("gamma_prob", -0.1),
        ("noise_prob", float("nan")),
        ("rotate_range", (0.1, 0.2)),
        ("rotate_range", (0.1, 0.1, (0.3, 0.2))),
        ("scale_range", (0.0, 1.0)),
        ("scale_range", 0.2),
        ("elastic_spacing", 0),
        ("elastic_magnitude", (-1, 1)),
        ("noise_std", (-0.1, 0.1)),
        ("blur_sigma", (0, 1)),
        ("brightness_range", (1.25, 0.75)),
        ("shift_range", (0.0, float("inf"))),
        ("contrast_range", (1.0,)),
        ("low_resolution_range", (0.5, 1.5)),
        ("gamma_range", (0, 1)),
    ],
)
def test_a_wrong_argument_is_named(argument, value):
    with pytest.raises(InputError, match=rf"^{argument}: found .*; expected "):
        augmentation(**{argument: value})


@pytest.mark.parametrize("name", ["image", "label", "key"])
def test_a_batch_without_one_of_the_three_is_refused(name):
    batch = random_batch([1])
    del batch[name]
    with pytest.raises(InputError, match=rf"without '{name}'.*return '{name}' for every sample"):
        augmentation()(batch)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", torch.tensor([1])),
        ("key", torch.tensor([[1], [2]])),
        ("label", torch.zeros(2, 1, 12, 16, 9)),
        ("image", torch.zeros(2, 1, 12, 16)),
    ],
)
def test_a_batch_of_other_shapes_is_refused(name, value):
    with pytest.raises(InputError, match="training batch: found image"):
        augmentation()({**random_batch([1, 2]), name: value})
