import subprocess
import sys

import pytest

from pipeline.evaluation.metric_names import (
    ALL_METRICS,
    CALIBRATION_METRICS,
    LESION_METRICS,
    MEMBRANE_METRICS,
    METRICS,
    SURFACE_METRICS,
    choose_metrics,
    list_metrics,
)


def test_the_order_of_columns_is_fixed():
    assert list(ALL_METRICS) == [
        *("dice", "iou", "sensitivity", "precision", "hd95_mm", "hd_mm", "assd_mm", "nsd"),
        *("hd95_area_mm", "hd_area_mm", "assd_area_mm", "nsd_area"),
        *("volume_difference", "volume_difference_percent", "cldice"),
    ]
    assert sorted(SURFACE_METRICS) == sorted(list(ALL_METRICS)[4:12])
    assert set(METRICS) <= ALL_METRICS.keys()


def test_lengths_have_their_unit_in_the_name_and_titles_differ():
    every = {**ALL_METRICS, **LESION_METRICS, **MEMBRANE_METRICS, **CALIBRATION_METRICS}
    assert len({metric.title for metric in every.values()}) == len(every)
    for name, metric in every.items():
        assert metric.name == name
        assert name.endswith("_mm") == (metric.unit == "mm") == (metric.one_sided == "diagonal")
        assert metric.better != "lower" or metric.one_sided != "zero" or name in CALIBRATION_METRICS


def test_some_metrics_are_chosen_in_the_order_of_the_table():
    assert choose_metrics(["nsd", "dice"]) == ("dice", "nsd")
    assert choose_metrics(None) == tuple(ALL_METRICS)[:-1]
    with pytest.raises(ValueError, match=r"\['dize'\].*dice"):
        choose_metrics(["dize", "dice"])


def test_metrics_of_rows_are_listed_in_the_order_of_the_table():
    rows = [{"label": "a", "nsd": 1.0, "v_info": 1.0, "lesion_f1": 0.5}, {"case": "b", "dice": 1.0}]
    assert [metric.name for metric in list_metrics(rows)] == ["dice", "nsd", "lesion_f1", "v_info"]
    assert list_metrics([]) == []


def test_values_with_a_sign_count_without_it_and_areas_have_their_unit():
    difference = ALL_METRICS["volume_difference"]
    assert (difference.score(-3.0), ALL_METRICS["dice"].score(0.5)) == (3.0, 0.5)
    assert (difference.find_unit(3), difference.find_unit(2), ALL_METRICS["hd_mm"].find_unit(2)) == ("ml", "mm2", "mm")


@pytest.mark.slow
def test_metrics_of_a_case_and_their_files_need_neither_torch_nor_monai():
    modules = ("metrics", "lesions", "membranes", "calibration", "summary", "results")
    text = f"import sys; {'; '.join(f'import pipeline.evaluation.{module}' for module in modules)}"
    found = "print(sorted({'torch', 'monai', 'skimage', 'pandas'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", f"{text}; {found}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
