"""Each perturbation against SciPy, NumPy or hand-computed values, in 3D and 2D."""

import math
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.data.errors import InputError
from pipeline.study.robustness import PERTURBATIONS, choose_perturbations
from pipeline.study.robustness.texture import make_texture

Scan = NDArray[np.float32]


def spacing_of(scan: Scan) -> list[float]:
    return [1.0] * (scan.ndim - 1)


def perturb(name: str, scan: Scan, level: int, **options: Any) -> Scan:
    return PERTURBATIONS[name].apply(scan, options.pop("spacing", spacing_of(scan)), level, **options)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbation_keeps_shape_and_input_and_is_the_same_twice(name: str, scan: Scan) -> None:
    before = scan.copy()
    changed = [perturb(name, scan, level, seed=1, case="a") for level in range(6)]
    assert np.array_equal(scan, before)
    assert np.array_equal(changed[0], before)
    assert np.array_equal(changed[3], perturb(name, scan, 3, seed=1, case="a"))
    for array in changed:
        assert (array.shape, array.dtype) == (scan.shape, np.float32)
        assert np.isfinite(array).all()
    # A harder level changes more.
    distances = [float(np.abs(array - before).mean()) for array in changed]
    assert distances == sorted(distances)
    assert 0 == distances[0] < distances[1]


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_only_the_random_parts_depend_on_seed_and_case(name: str, scan: Scan) -> None:
    one = perturb(name, scan, 2, seed=1, case="a")
    others = [perturb(name, scan, 2, seed=2, case="a"), perturb(name, scan, 2, seed=1, case="b")]
    assert [bool(np.array_equal(one, other)) for other in others] == [
        name not in ("noise", "bias_field", "texture")
    ] * 2


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_constant_scan_and_several_channels_are_fine(name: str) -> None:
    flat = np.full((2, 9, 8, 7), 5, dtype=np.float32)
    flat[1] += np.arange(7, dtype=np.float32)
    changed = perturb(name, flat, 4)
    assert changed.shape == flat.shape
    assert np.isfinite(changed).all()


@pytest.mark.parametrize("name", sorted({*PERTURBATIONS} - {"bias_field", "texture"}))
def test_a_channel_does_not_matter_to_another(name: str, scan: Scan) -> None:
    both = perturb(name, np.concatenate([scan, scan[:, ::-1] * 7]), 3)
    np.testing.assert_allclose(both[:1], perturb(name, scan, 3), rtol=1e-5, atol=1e-3)


def test_noise_has_the_mean_and_deviation_of_its_level() -> None:
    scan = np.random.default_rng(0).normal(1000, 30, (1, 40, 40, 40)).astype(np.float32)
    noise = perturb("noise", scan, 2) - scan
    # Half the scan's own deviation; the standard errors are 0.06 and 0.04.
    assert noise.mean() == pytest.approx(0, abs=0.3)
    assert noise.std() == pytest.approx(15, abs=0.2)
    # The same pattern at another level.
    np.testing.assert_allclose(perturb("noise", scan, 3) - scan, 2 * noise, atol=1e-3)


def test_blur_is_that_of_scipy(scan: Scan) -> None:
    spacing = [0.5, 2.0, 1.0][: scan.ndim - 1]
    # 1.5 times the finest side of 0.5 mm.
    sigmas = [0.75 / side for side in spacing]
    expected = ndimage.gaussian_filter(scan[0], sigmas)
    np.testing.assert_allclose(perturb("blur", scan, 3, spacing=spacing)[0], expected, rtol=1e-5)


def test_gamma_keeps_the_range_and_squares_what_is_between() -> None:
    scan = np.array([[[-10.0, 0.0], [20.0, 30.0]]], dtype=np.float32)
    # The shares of the range are 0, 1/4, 3/4, 1; their squares 0, 1/16, 9/16, 1.
    np.testing.assert_allclose(perturb("gamma", scan, 3), [[[-10, -7.5], [12.5, 30]]], rtol=1e-6)


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_the_bias_field_has_its_range_and_is_smooth(level: int, scan: Scan) -> None:
    low = scan.min()
    changed = perturb("bias_field", scan, level)
    above = scan > low + 1
    field = ((changed - low)[above] / (scan - low)[above]).astype(np.float64)
    # Where the scan is not too dark to tell; the extremes are in corners.
    assert field.max() / field.min() <= 2.0**level * 1.01
    assert field.max() / field.min() > 2.0 ** (level / 3)
    assert abs(np.log(field).mean()) < math.log(2) * level / 4
    ones = np.ones_like(scan)
    ones[(0,) * ones.ndim] = 0
    whole = np.log(np.delete(perturb("bias_field", ones, level).ravel(), 0).astype(np.float64))
    assert np.ptp(whole) == pytest.approx(level * math.log(2), rel=0.3)


def test_a_coarser_grid_leaves_a_plane_of_equal_slope_alone() -> None:
    # Linear interpolation and a symmetric filter keep a linear ramp, away from the mirrored border.
    ramp = np.broadcast_to(np.arange(60, dtype=np.float32)[:, None], (1, 60, 30)).copy()
    np.testing.assert_allclose(perturb("resolution", ramp, 3)[0, 15:45], ramp[0, 15:45], atol=0.05)


def test_a_coarser_grid_removes_what_is_finer_than_its_voxels(scan: Scan) -> None:
    noise = np.random.default_rng(0).normal(size=(1, *[32] * (scan.ndim - 1))).astype(np.float32)
    kept = np.fft.fftshift(np.abs(np.fft.fftn(perturb("resolution", noise, 4)[0])) ** 2)
    before = np.fft.fftshift(np.abs(np.fft.fftn(noise[0])) ** 2)
    # Three times coarser voxels: nothing beyond a third of the frequencies, here beyond half of them.
    inner = tuple([slice(8, 24)] * kept.ndim)
    assert kept.sum() - kept[inner].sum() < 0.05 * (before.sum() - before[inner].sum())


def test_the_border_is_not_darkened(scan: Scan) -> None:
    flat = np.full_like(scan, 50)
    for name in ("resolution", "anisotropy", "blur"):
        for level in range(1, 6):
            np.testing.assert_allclose(perturb(name, flat, level), 50, rtol=1e-5)


@pytest.mark.parametrize(("spacing", "axis"), [([1, 1, 1], 2), ([1, 3, 1], 1), ([1, 1], 1), ([2, 1], 0)])
def test_anisotropy_changes_the_coarsest_axis_alone(spacing: list[float], axis: int) -> None:
    rng = np.random.default_rng(1)
    for other in range(len(spacing)):
        # Varies along one axis only.
        profile = rng.normal(size=24).reshape([-1 if place == other else 1 for place in range(len(spacing))])
        scan = np.broadcast_to(profile, (1, *[24] * len(spacing))).astype(np.float32)
        changed = perturb("anisotropy", scan, 4, spacing=spacing)
        if other == axis:
            assert changed.std() < 0.6 * scan.std()
        else:
            np.testing.assert_allclose(changed, scan, atol=1e-5)


@pytest.mark.parametrize("size", [20, 17, 13])
def test_ghosts_are_copies_a_quarter_of_the_second_axis_apart(size: int, scan: Scan) -> None:
    scan = scan[:, :, :size]
    level, share = 4, 0.6
    # The axis is continued to 20 voxels; size 13 to 20 as well, since 12 is too short.
    continued = np.concatenate([scan, *[scan[:, :, -1:]] * (20 - size)], axis=2)
    first, second, third = (np.roll(continued, 5 * number, axis=2) for number in (1, 2, 3))
    # The scan keeps 1 / (1 + 0.6) of its amplitude.
    expected = (continued + share * (first - second + third)) / (1 + share)
    assert PERTURBATIONS["ghosting"].levels[level - 1] == share
    np.testing.assert_allclose(perturb("ghosting", scan, level), expected[:, :, :size], atol=1e-3)


def test_ghosts_are_along_the_second_axis_alone(scan: Scan) -> None:
    # A bright bar across the other axes.
    bar = np.zeros_like(scan)
    bar[:, :, 10] = 100
    ghosts = perturb("ghosting", bar, 3) - bar
    assert np.abs(ghosts).max() > 1
    for axis in (1, *range(3, bar.ndim)):
        assert np.abs(np.diff(ghosts, axis=axis)).max() < 1e-3


def test_mixing_is_a_blend_of_scan_and_texture(scan: Scan) -> None:
    change = PERTURBATIONS["texture"].change
    other = make_texture(scan, 7)
    np.testing.assert_array_equal(change(scan, spacing_of(scan), 0.0, 7), scan)
    np.testing.assert_array_equal(change(scan, spacing_of(scan), 1.0, 7), other)
    np.testing.assert_allclose(change(scan, spacing_of(scan), 0.25, 7), 0.75 * scan + 0.25 * other, rtol=1e-6)


def test_the_texture_has_the_scans_mean_deviation_and_spectrum_but_not_its_structure(scan: Scan) -> None:
    other = make_texture(scan, 7)
    assert other.mean() == pytest.approx(scan.mean(), rel=1e-5)
    assert other.std() == pytest.approx(scan.std(), rel=1e-4)
    spectra = [np.abs(np.fft.fftn(array[0].astype(np.float64))) for array in (scan, other)]
    np.testing.assert_allclose(spectra[1], spectra[0], rtol=1e-3, atol=1e-2)
    assert abs(np.corrcoef(scan.ravel(), other.ravel())[0, 1]) < 0.6
    # Relations of channels stay.
    pair = make_texture(np.concatenate([scan, -2 * scan]), 7)
    np.testing.assert_allclose(pair[1], -2 * pair[0], rtol=1e-4, atol=1e-2)


def test_levels_are_five_and_rise() -> None:
    assert list(PERTURBATIONS) == [
        "noise", "blur", "bias_field", "gamma", "resolution", "anisotropy", "ghosting", "texture"
    ]  # fmt: skip
    for one in PERTURBATIONS.values():
        assert len(one.levels) == 5
        assert list(one.levels) == sorted(set(one.levels))
        assert one.unit


def test_names_choose_in_the_order_of_the_table() -> None:
    assert [one.name for one in choose_perturbations(["texture", "noise", "noise"])] == ["noise", "texture"]
    assert [one.name for one in choose_perturbations(None)] == list(PERTURBATIONS)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean gamma") as caught:
        choose_perturbations(["noise", "gama"])
    assert "'gama'" in caught.value.found
    with pytest.raises(InputError, match="name some of these"):
        choose_perturbations(["qqqq"])
    with pytest.raises(InputError, match="no name"):
        choose_perturbations([])


@pytest.mark.parametrize(("level", "spacing"), [(6, [1, 1, 1]), (-1, [1, 1, 1]), (1, [1, 1])])
def test_a_wrong_level_or_grid_is_refused(level: int, spacing: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        perturb("noise", np.zeros((1, 4, 4, 4), dtype=np.float32), level, spacing=spacing)


def test_without_torchio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchio", None)
    with pytest.raises(InputError, match=r"lightskip\[study\]"):
        perturb("noise", np.zeros((1, 4, 4, 4), dtype=np.float32), 1)
    # Mixing textures needs NumPy alone.
    assert perturb("texture", np.ones((1, 4, 4, 4), dtype=np.float32), 1).shape == (1, 4, 4, 4)
