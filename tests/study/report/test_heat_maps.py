import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.study.report.arms import Arm, Group, sort_runs
from pipeline.study.report.heat_maps import average_changes, draw_heat_maps, draw_scale

from .make_runs import make_diverged, make_run, make_study


def make_group(*values, layers=("a.conv", "b.conv", "c.conv")):
    """One arm per array of changes, (epochs, layers)."""
    runs = []
    for number, one in enumerate(values):
        run = make_run(f"skip{number}", parts=())
        run["weight_changes"] = {"layers": list(layers), "epochs": list(range(1, len(one) + 1)), "values": one}
        runs.append(run)
    return sort_runs(make_study([]), runs, [], [])[0]


def read_pixels(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2]))))


def test_the_mean_is_over_trainings():
    first, second = [[1e-3, 1e-4, 1e-5]], [[3e-3, None, 1e-5], [1e-3, 1e-3, 1e-3]]
    runs = [make_run("sat", seed, parts=()) for seed in range(2)]
    for run, values in zip(runs, (first, second), strict=True):
        run["weight_changes"] = {"layers": ["a", "b", "c"], "epochs": list(range(1, len(values) + 1)), "values": values}
    layers, epochs, mean = average_changes(Arm("sat", done=runs))
    assert (layers, epochs) == (["a", "b", "c"], [1, 2])
    assert mean == pytest.approx(np.array([[2e-3, 1e-4, 1e-5], [1e-3, 1e-3, 1e-3]]))
    runs[1]["weight_changes"]["layers"] = ["a", "b", "other"]
    assert average_changes(Arm("sat", done=runs))[1] == [1]


def test_a_row_is_a_layer_and_colours_follow_the_logarithm():
    group = make_group([[1e-5, 1e-4, 1e-3], [1e-5, 1e-5, None]], [[1e-4, 1e-4, 1e-4]])
    scale = draw_scale([group])
    first, second = draw_heat_maps(group, scale)
    pixels = read_pixels(first.picture)
    assert pixels.shape == (3, 2, 3)
    assert pixels[0, 0].tolist() == [0x44, 0x01, 0x54]
    assert pixels[2, 0].tolist() == [0xFD, 0xE7, 0x25]
    assert pixels[1, 0] == pytest.approx([0x21, 0x91, 0x8C], abs=3)  # the middle of the scale
    assert pixels[2, 1].tolist() == [128] * 3  # unknown
    assert (read_pixels(second.picture) == pixels[1, 0]).all()
    assert [name for _, name in first.layers] == ["a", "b", "c"]
    assert first.epochs == [(25.0, "1"), (75.0, "2")]
    assert [text for _, text in scale.ticks] == ["1e-5", "1e-4", "1e-3"]
    # Of the means over epochs: (1e-5 + 1e-3) / 2 = 5.05e-4, and (1e-4 + 1e-5) / 2 = 5.5e-5.
    expected = "first and last third of the layers: 5.1e-04 per epoch; middle third: 5.5e-05, 0.11 times as much"
    assert first.text == expected


def test_many_layers_have_a_few_short_names():
    layers = [f"encoder.stages.{one}.blocks.0.convolution.weight" for one in range(40)]
    [drawn] = draw_heat_maps(group := make_group([[1e-4] * 40], layers=layers), draw_scale([group]))
    names = [name for _, name in drawn.layers]
    assert len(names) <= 12
    assert names[0] == "encoder.stages.0"


def test_nothing_to_draw():
    nothing = sort_runs(make_study([]), [make_run("sat", parts=()), make_diverged("sat", 1)], [], [])
    assert draw_scale(nothing) is None
    assert draw_scale([Group("", "", "", "")]) is None
    zeros = make_group([[0.0, 0.0, 0.0]])
    assert draw_scale([zeros]) is None
    flat = make_group([[1e-4, 1e-4, 1e-4]])
    assert len(draw_scale([flat]).ticks) >= 2
