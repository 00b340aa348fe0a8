from copy import deepcopy

import pytest

from pipeline.comparison.table import format_comparison


def entry(mean, interval=None, missed=0):
    numbers = {"mean": mean, "interval": interval}
    return {"dice": numbers, "hd95_mm": {"mean": 2.0, "interval": None}, "missed": missed, "false_positives": 3}


def make_pair(label, metric, first="a", second="b"):
    return {"first": first, "second": second, "label": label, "metric": metric, "sentence": f"{metric} of {label}."}


SUMMARY = {
    "cases": [{"case": "1", "subject": "p"}, {"case": "2", "subject": "p"}],
    "labels": {"background": 0, "organ": 1, "lesion": 2},
    "metrics": [
        {"name": "iou", "title": "IoU", "unit": "1"},
        {"name": "dice", "title": "Dice", "unit": "1"},
        {"name": "hd95_mm", "title": "HD95", "unit": "mm"},
        {"name": "nsd", "title": "NSD", "unit": "1"},
    ],
    "statistics": {
        "a": {"organ": entry(0.5, [0.25, 0.75]), "mean of labels": entry(0.5, [0.25, 0.75])},
        "long": {"organ": entry(None, missed=12), "mean of labels": entry(None, missed=12)},
    },
    "paired": [make_pair("organ", "dice"), make_pair("organ", "iou"), make_pair("organ", "hd95_mm")],
    "ranking": None,
    "notes": ["First.", "Second."],
}


def test_means_have_columns_with_intervals_and_notes_are_last():
    lines = format_comparison(SUMMARY).splitlines()
    assert lines[:6] == [
        "2 cases of 1 subject; mean [95 % interval over subjects]",
        "label           set                   Dice  HD95 (mm)  NSD  missed  invented",
        "organ           a     0.500 [0.250, 0.750]       2.00    -       0         3",
        "                long                     -       2.00    -      12         3",
        "mean of labels  a     0.500 [0.250, 0.750]       2.00    -       0         3",
        "                long                     -       2.00    -      12         3",
    ]
    assert lines[-2:] == ["note: First.", "note: Second."]


def test_the_metrics_that_are_left_out_are_named():
    assert "also measured, in summary.json and cases.csv: iou; --metrics" in format_comparison(SUMMARY)
    assert "also measured" not in format_comparison(SUMMARY | {"metrics": SUMMARY["metrics"][:2]})


def test_all_metrics_that_were_asked_for_are_shown_three_in_a_row():
    named = [{**metric, "asked": True} for metric in SUMMARY["metrics"]]
    arms = {"sat": {"sets": ["sat:0", "sat:1"], "mean of labels": {"dice": {"mean": 0.5, "interval": None}}}}
    lines = format_comparison(SUMMARY | {"metrics": named, "arms": arms}).splitlines()
    heads = [line.split() for line in lines if line.startswith(("label", "arm "))]
    assert heads == [
        ["label", "set", "Dice", "HD95", "(mm)", "NSD", "missed", "invented"],
        ["label", "set", "IoU"],
        ["arm", "seeds", "Dice", "HD95", "(mm)", "NSD"],
        ["arm", "seeds", "IoU"],
    ]
    assert max(map(len, lines)) < 100
    # An option for one metric adds it to the usual three.
    tubes = {"name": "cldice", "title": "clDice", "unit": "1", "asked": True}
    text = format_comparison(SUMMARY | {"metrics": [*SUMMARY["metrics"], tubes]})
    assert "clDice" in text
    assert "cases.csv: iou;" in text


def test_calibration_that_was_asked_for_is_shown():
    found = {"a": {"cases": 2, "ece": {"mean": 0.25, "interval": [0.125, 0.375]}, "brier": {"mean": None}}}
    assert "set  cases                   ECE" in (text := format_comparison(SUMMARY | {"calibration": found}))
    assert "a        2  0.250 [0.125, 0.375]" in text


def test_one_label_needs_no_mean_over_labels():
    assert "mean of labels" not in format_comparison(SUMMARY | {"labels": {"background": 0, "organ": 1}})


def test_other_metrics_are_shown_if_the_usual_ones_were_not_measured():
    assert "IoU" not in format_comparison(SUMMARY).splitlines()[1]
    summary = deepcopy(SUMMARY) | {"metrics": SUMMARY["metrics"][:1]}
    assert "IoU" in format_comparison(summary).splitlines()[1]
    # With one of the usual ones there is room for others that were asked for.
    summary = deepcopy(SUMMARY) | {"metrics": SUMMARY["metrics"][:2]}
    assert format_comparison(summary).splitlines()[1].split()[2:4] == ["Dice", "IoU"]


@pytest.mark.parametrize(("labels", "shown"), [(1, 2), (2, 4), (40, 2)])
def test_sentences_are_of_the_first_metric_label_by_label_unless_they_are_many(labels, shown):
    names = [f"l{n}" for n in range(labels)]
    all_labels = [*names, *(["mean of labels"] * (labels > 1))]
    paired = [make_pair(label, metric) for metric in ("dice", "hd95_mm", "iou") for label in all_labels]
    text = format_comparison({**SUMMARY, "paired": paired})
    sentences = [line for line in text.splitlines() if line.startswith(("dice of", "hd95_mm of", "iou of"))]
    assert len(sentences) == shown
    assert not any("iou" in line for line in sentences)
    assert f"summary.json has all {len(paired)} sentences" in text


def test_ranks_and_arms_are_shown_if_there_are_any():
    ranking = {
        "dice": [
            {"set": "a", "rank": 1, "mean": 0.5, "first": 0.875},
            {"set": "b", "rank": 2, "mean": 0.25, "first": 0.125},
        ]
    }
    arms = {"sat": {"sets": ["sat:0", "sat:1"], "mean of labels": {"dice": {"mean": 0.5, "interval": [0.1, 0.9]}}}}
    text = format_comparison({**SUMMARY, "ranking": ranking, "arms": arms})
    assert "rank  set   mean  first\n1     a    0.500    88%\n2     b    0.250    12%" in text
    assert "arm  seeds                  Dice  HD95 (mm)  NSD\nsat      2  0.500 [0.100, 0.900]          -    -" in text
    assert "ranking" not in format_comparison(SUMMARY)
