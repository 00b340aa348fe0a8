"""The colours on a check page are those of its pictures."""

import re

import numpy as np

from pipeline.labelmaps.palette import UNDECLARED_COLOUR, label_colour
from pipeline.report.check_colours import swatch_class, swatch_style


def test_a_label_has_the_colour_of_its_value_whatever_its_place_and_the_background():
    report = {"labels": {"membrane": 0, "background": 255, "nucleus": 5, "odd": -3, "vessel": 40}}
    rules = dict(re.findall(r"\.swatch\.(\S+){background:(#\w{6})}", swatch_style(report)))
    assert rules.pop("undeclared") == UNDECLARED_COLOUR
    assert len(rules) == 4
    for name, value in report["labels"].items():
        if name != "background":
            rule = rules[swatch_class(report, name)]
            shown = [int(rule[start : start + 2], 16) for start in (1, 3, 5)]
            np.testing.assert_array_equal(shown, label_colour(value))
