from pathlib import Path

import numpy as np
import pytest

from pipeline.comparison.check_cases import check_cases
from pipeline.comparison.inputs import read_inputs
from pipeline.comparison.pool import Pool
from pipeline.comparison.prepare import find_labels, prepare_cases
from pipeline.comparison.request import Request
from pipeline.data.errors import InputError

from .conftest import LABELS, make_map, save_named

SWAPPED = np.array([0, 2, 1], np.uint8)


@pytest.fixture
def folders(fill, tmp_path, monkeypatch):
    """References, predictions without names, and predictions whose table has the names with other values."""
    fill("ref", {name: make_map() for name in "ab"})
    fill("plain", {name: make_map() for name in "ab"})
    for name in "ab":
        save_named(tmp_path / "named" / f"{name}.nii.gz", SWAPPED[make_map()], {"organ": 2, "lesion": 1})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(**options):
    inputs = read_inputs(Request(Path("ref"), ["plain", "named"], Path("out"), **options))
    with Pool(1, progress=False) as pool:
        checked = check_cases(inputs.joined.cases, pool, probabilities=True)
    labels = find_labels(inputs, checked)
    return labels, prepare_cases(inputs, checked, labels)


@pytest.mark.usefixtures("folders")
def test_every_file_has_the_values_of_its_own_names():
    labels, prepared = prepare(labels=[("organ", 1), ("lesion", 2)])
    assert (labels.values, labels.in_reference) == (LABELS, LABELS)
    assert prepared.values == {"plain": LABELS, "named": {"background": 0, "organ": 2, "lesion": 1}}
    assert prepared.tables == {"plain": {}, "named": {1: "lesion", 2: "organ"}}
    for one in prepared.cases:
        assert one.reference == {0: 0, 1: 1, 2: 2}
        assert one.predictions == {"plain": {0: 0, 1: 1, 2: 2}, "named": {0: 0, 1: 2, 2: 1}}
        assert one.channels == {}


def test_channels_of_probabilities_are_the_networks_values(folders, save):
    save("named/a_prob.nii.gz", np.zeros((*make_map().shape, 3), np.float32))
    _, prepared = prepare(labels=[("organ", 1), ("lesion", 2)])
    assert [one.channels for one in prepared.cases] == [{"named": {0: 0, 1: 2, 2: 1}}, {}]
    save("named/a_prob.nii.gz", np.zeros((*make_map().shape, 2), np.float32))
    with pytest.raises(InputError, match=r"a_prob.nii.gz: found 2 channels"):
        prepare(labels=[("organ", 1), ("lesion", 2)])


def test_every_file_with_an_undeclared_value_is_in_the_message(folders, save):
    for place in ("plain/a.nii.gz", "ref/b.nii.gz"):
        save(place, make_map() * np.uint8(3))
    with pytest.raises(InputError) as raised:
        prepare(labels=[("organ", 1), ("lesion", 2)])
    message = str(raised.value)
    assert "plain/a.nii.gz: found case a with undeclared label values: 3, 6" in message
    assert "ref/b.nii.gz: case b with undeclared label values: 3, 6" in message
    assert prepare(labels=[("organ", 1), ("lesion", 2)], as_background=[3, 6])[0].values == LABELS
