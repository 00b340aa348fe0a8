import io

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.image import imread

from pipeline.report.differences import draw_differences


def entry(difference, interval):
    return {"dice": 0.5, "difference": difference, "interval": interval, "n": 3}


def make_summary():
    changes = {"core": entry(-0.2, [-0.3, -0.1]), "mean of labels": entry(0.05, [0.0, 0.1])}
    absent = {"core": entry(None, None), "mean of labels": entry(0.05, None)}
    return {
        "cases": 3,
        "untouched": {"core": {"dice": 0.8}, "mean of labels": {"dice": 0.7}},
        "probes": [
            {"level": 0, "skip": "sat", "probe": "off", "labels": changes},
            {"level": 0, "skip": "sat", "probe": "mean", "labels": absent},
            {"level": 2, "skip": "concat", "probe": "off", "labels": changes},
        ],
    }


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn."""
    drawn = []
    save = matplotlib.figure.Figure.savefig

    def remember(figure, *args, **kwargs):
        drawn.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", remember)
    return drawn


def test_a_panel_per_level_with_means_and_intervals(figures):
    picture = imread(io.BytesIO(draw_differences(make_summary())))
    assert picture.shape[1] == 990  # 9 inches of 110 dots
    [figure] = figures
    first, second = figure.axes
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["level 0, skip sat", "level 2, skip concat"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["off", "mean"]
    core, overall = (line for line in first.get_lines() if line.get_marker() == "o")
    # A label that never counts has no point; one without an interval has a point.
    assert list(core.get_xdata()) == [-0.2]
    assert list(overall.get_xdata()) == [0.05, 0.05]
    [segment] = second.collections[0].get_segments()
    np.testing.assert_allclose(segment[:, 0], [-0.3, -0.1])
    assert first.get_xlim() == second.get_xlim()
    assert figure.get_suptitle() == "3 cases, untouched Dice 0.700 (mean of labels)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["core", "mean of labels"]


def test_the_mean_of_regions_is_called_so(figures):
    draw_differences(make_summary() | {"regions": ["core"]})
    assert figures[0].get_suptitle() == "3 cases, untouched Dice 0.700 (mean of regions)"
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["core", "mean of regions"]


def test_of_many_labels_only_the_mean_is_drawn(figures):
    summary = make_summary()
    changes = {f"organ {number}": entry(-0.1, [-0.2, 0.0]) for number in range(9)}
    summary["untouched"] = {label: {"dice": 0.8} for label in [*changes, "mean of labels"]}
    for probe in summary["probes"]:
        probe["labels"] |= changes
    draw_differences(summary)
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["mean of labels"]
