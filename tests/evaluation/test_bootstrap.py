import numpy as np
import pytest
from scipy.stats import bootstrap

from pipeline.evaluation.bootstrap import bootstrap_interval


def test_it_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).normal(0.2, 1.0, 40)
    expected = bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(5))
    found = bootstrap_interval(values)
    assert found is not None
    # Two sets of draws differ by chance, by a few per cent of the interval.
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=0.03)


def test_two_cases_have_their_own_values_as_ends() -> None:
    # A quarter of the draws has one of them twice, more than the 2.5 % outside.
    assert bootstrap_interval([1.0, 3.0]) == (1.0, 3.0)


def test_labels_of_a_case_are_drawn_together() -> None:
    # The labels' changes cancel in every case, so the mean over labels has no spread.
    rising = np.random.default_rng(0).normal(0, 1, 20)
    low, high = bootstrap_interval(np.stack([rising, -rising], axis=1)) or (1, 1)
    assert abs(low) < 1e-12
    assert abs(high) < 1e-12


def test_the_mean_is_over_labels_however_rare() -> None:
    values = np.full((10, 2), 1.0)
    values[:, 1] = np.nan
    values[:3, 1] = 3.0
    # Draws without any of the three cases of the rare label have the mean of the other alone.
    assert bootstrap_interval(values, confidence=0.5) == (2.0, 2.0)


def test_missing_values_and_few_cases() -> None:
    assert bootstrap_interval([1.0]) is None
    assert bootstrap_interval([1.0, np.nan]) is None
    assert bootstrap_interval([np.nan, 1.0, 3.0]) == (1.0, 3.0)
    assert bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(3).normal(size=15)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


@pytest.mark.parametrize(
    ("values", "options"),
    [(np.zeros((2, 2, 2)), {}), (0.5, {}), ([1.0, 2.0], {"confidence": 1.0}), ([1.0, 2.0], {"resamples": 0})],
)
def test_other_input_is_refused(values: object, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        bootstrap_interval(values, **options)  # type: ignore[arg-type]
