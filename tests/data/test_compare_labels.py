"""Label maps on and off their images, made on the spot and measured as in a check."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pipeline.data.compare_labels import find_misplaced_labels, find_misplaced_structures
from pipeline.data.label_fit import measure_fit
from pipeline.data.structures import measure_structures

CASES = 24
LABELS = {"background": 0, "front": 1, "back": 2}


def scan(seed):
    """Return two channels and a label map: two touching ellipsoids, off the middle, in noise."""
    rng = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*[np.arange(28.0)] * 3, indexing="ij"))
    middle, radii = rng.uniform([8, 11, 8], [11, 15, 11]), rng.uniform(4, 6, 3)
    inside = (((place - middle[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(axis=0) < 1
    label = np.where(inside, np.where(place[1] > middle[1], 1, 2), 0).astype(np.uint8)
    channels = [gaussian_filter(contrast * inside + rng.normal(0, 1, inside.shape), 0.7) for contrast in (3, -2)]
    return channels, label


def record(name, channels, label):
    fits = [
        {"channel": number, **measure_fit(channel, label, np.eye(4), 0, np.sort(channel, axis=None))}
        for number, channel in enumerate(channels)
    ]
    images = [f"{name}_{number}.nii" for number in range(len(channels))]
    classes = measure_structures(label, np.eye(4), background=0)
    return {"name": name, "images": images, "label": f"{name}.nii", "fit": fits, "classes": classes}


@pytest.fixture(scope="module")
def scans():
    return [scan(seed) for seed in range(CASES)]


@pytest.fixture(scope="module")
def records(scans):
    return [record(f"c{number}", *each) for number, each in enumerate(scans)]


def found(records):
    both = [*find_misplaced_labels(records), *find_misplaced_structures(records, LABELS)]
    return [(each.kind, each.case, each.file) for each in both]


def test_label_maps_on_their_images_give_nothing(records):
    assert found(records) == []


@pytest.mark.parametrize("axis", [0, 2])
def test_a_mirrored_label_map_is_found(scans, records, axis):
    channels, label = scans[5]
    odd = [*records[:5], record("c5", channels, np.flip(label, axis)), *records[6:]]
    assert found(odd) == [("label-misplaced", "c5", "c5.nii")]


def test_label_maps_exchanged_between_cases_are_found(scans, records):
    # Those that differ most in place.
    middles = [np.argwhere(label > 0).mean(axis=0) for _, label in scans]
    one, other = max(
        ((a, b) for a in range(CASES) for b in range(a)),
        key=lambda pair: float(np.linalg.norm(middles[pair[0]] - middles[pair[1]])),
    )
    odd = list(records)
    for case, source in ((one, other), (other, one)):
        odd[case] = record(f"c{case}", scans[case][0], scans[source][1])
    assert sorted(found(odd)) == sorted(("label-misplaced", f"c{case}", f"c{case}.nii") for case in (one, other))


def test_a_channel_of_another_case_is_found(scans, records):
    (first, _), label = scans[7]
    odd = list(records)
    odd[7] = record("c7", [first, np.flip(scans[3][0][1])], label)
    assert found(odd) == [("channel-misplaced", "c7", "c7_1.nii")]


def test_exchanged_labels_are_found_by_their_places(scans, records):
    channels, label = scans[2]
    odd = list(records)
    odd[2] = record("c2", channels, np.array([0, 2, 1], np.uint8)[label])
    (finding,) = find_misplaced_structures(odd, LABELS)
    assert (finding.kind, finding.case) == ("label-place", "c2")
    assert "spreads away" in finding.expected


def test_few_cases_are_not_compared(scans, records):
    channels, label = scans[0]
    assert found([record("c0", channels, np.flip(label, 0)), *records[1:15]]) == []


def test_the_evidence_is_in_the_message(scans, records):
    channels, label = scans[5]
    (finding,) = find_misplaced_labels([*records[:5], record("c5", channels, np.flip(label, 0)), *records[6:]])
    assert "times in the other cases" in finding.found
    assert "spreads from the median of 24 cases" in finding.found
