"""The palette, measured with scikit-image's CIELAB and published simulations of colour vision."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from pipeline.labelmaps.palette import PALETTE, UNDECLARED_COLOUR, hex_colour, label_colour, rgb

# Machado, Oliveira and Fernandes (2009), table of severity 1.0: linear RGB as seen, from linear RGB.
SEEN = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colours, vision):
    """CIELAB (D65) of colours of 0 to 255 as they are seen, (n, 3)."""
    standard = np.asarray(colours) / 255
    linear = np.where(standard <= 0.04045, standard / 12.92, ((standard + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(SEEN[vision]).T, 0, 1)
    encoded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return rgb2lab(encoded[None])[0]


def closest(colours, vision):
    """The smallest CIE76 distance between any two."""
    places = lab(colours, vision)
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    return apart[np.triu_indices(len(places), 1)].min()


def test_the_measure_is_that_of_the_standard():
    assert lab([(255, 255, 255), (255, 0, 0)], "normal") == pytest.approx(
        np.array([[100, 0, 0], [53.24, 80.09, 67.20]]), abs=0.05
    )
    # Who lacks one kind of cone sees grey as it is: the rows of each matrix add up to 1.
    for vision in SEEN:
        assert lab([(128, 128, 128)], vision)[0, 1:] == pytest.approx([0, 0], abs=0.1)


@pytest.mark.parametrize("vision", SEEN)
def test_sixteen_colours_zero_and_undeclared_are_told_apart(vision):
    colours = [label_colour(value) for value in range(17)] + [rgb(UNDECLARED_COLOUR)]
    assert closest(colours, vision) >= 15


@pytest.mark.parametrize(
    ("vision", "least"), [("normal", 22), ("protanopia", 18), ("deuteranopia", 18), ("tritanopia", 18)]
)
def test_the_first_eight_are_farther_apart(vision, least):
    assert closest([label_colour(value) for value in range(1, 9)], vision) >= least


@pytest.mark.parametrize("vision", SEEN)
def test_every_colour_stands_out_on_grey_and_on_black(vision):
    lightness, a, b = lab([label_colour(value) for value in range(17)], vision).T
    assert lightness.min() >= (48 if vision == "normal" else 38)
    # The distance from the nearest grey, and with it from any grey.
    assert np.hypot(a, b).min() >= (36 if vision == "normal" else 9)


def test_a_colour_follows_from_the_value_alone():
    assert [label_colour(value) for value in range(1, 17)] == [rgb(code) for code in PALETTE]
    assert (PALETTE[0], hex_colour(1), label_colour(1)) == ("#E69F00", "#E69F00", (0xE6, 0x9F, 0x00))


def test_of_120_values_in_a_row_no_two_have_one_colour():
    colours = [label_colour(value) for value in range(121)]
    assert all(type(part) is int and 0 <= part <= 255 for colour in colours for part in colour)
    different = np.abs(np.array(colours)[:, None] - np.array(colours)[None]).max(axis=-1)
    # Apart by 3 of 255 in some part: the last of 120 fill the circle of hues.
    assert different[np.triu_indices(121, 1)].min() >= 3


@pytest.mark.parametrize("value", [-1, -(2**63), 255, 70_000, 2**53])
def test_any_value_has_a_colour(value):
    assert all(0 <= part <= 255 for part in label_colour(value))
    assert hex_colour(value) == "#" + "".join(f"{part:02X}" for part in label_colour(value))
