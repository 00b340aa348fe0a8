import io

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.image import imread

from pipeline.report.map_picture import MapRow, draw_maps

NAMES = {1: "core"}


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


def shown(panel):
    return np.asarray(panel.get_images()[0].get_array())


def test_scan_label_maps_and_a_row_per_level_in_one_slice(figures):
    image = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    reference = np.zeros(image.shape, dtype=np.int64)
    reference[1:3, 1:4, 2] = 1
    rows = [MapRow("level 0", np.stack([image, -image], axis=-1)), MapRow("level 1", image[..., None] + 1)]
    picture = draw_maps(
        image, {"reference": reference, "prediction": reference}, rows, np.eye(4), names=NAMES, title="x"
    )
    assert imread(io.BytesIO(picture)).ndim == 3
    axes = np.array(figures[0].axes).reshape(3, 4)
    # Slice 2 has the label. In RAS, the patient's right is on the left and anterior is up: both axes are turned.
    expected = image[::-1, ::-1, 2].T
    assert axes[0, 0].get_title(loc="left") == "axial slice 3 of 6"
    for panel in axes[0, :3]:
        np.testing.assert_array_equal(shown(panel), expected)
    np.testing.assert_array_equal(shown(axes[1, 0]), expected)
    np.testing.assert_array_equal(shown(axes[1, 1]), -expected)
    np.testing.assert_array_equal(shown(axes[2, 0]), expected + 1)
    assert [panel.get_title(loc="left") for panel in axes[1:, 0]] == ["level 0", "level 1"]
    # Values of both signs: symmetric about zero. Others: their own range.
    low, high = axes[1, 0].get_images()[0].get_clim()
    assert low == -high
    assert axes[2, 0].get_images()[0].get_clim()[0] > 0
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["core"]


def test_a_2d_scan_is_shown_as_image_viewers_show_it(figures):
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    labels = (image > 10).astype(np.int64)
    maps = [MapRow("level 0", np.zeros((4, 5, 1)))]
    draw_maps(image, {"reference": labels}, maps, np.eye(4), names=NAMES, title="x")
    np.testing.assert_array_equal(shown(figures[0].axes[0]), image.T)
    # A map of one value has a scale, too.
    low, high = figures[0].axes[3].get_images()[0].get_clim()
    assert low < 0 < high
