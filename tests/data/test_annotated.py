"""The annotated sets of a datalist have the same numbers whatever the order of cases and names."""

import json
from pathlib import Path

from pipeline.data.annotated import number_annotated, read_annotated_sets


def test_sets_are_numbered_over_the_whole_datalist(tmp_path: Path) -> None:
    named = [["liver"], None, ["kidney", "background", "liver"], ["liver", "kidney"], "kidney"]
    items = [
        {"image": f"{number}.nii", "label": f"{number}_seg.nii", **({} if names is None else {"annotated": names})}
        for number, names in enumerate(named)
    ]
    for number, order in enumerate((items, items[::-1])):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps({"training": order[:3], "test": order[3:]}))
        assert read_annotated_sets(file) == [["kidney"], ["kidney", "liver"], ["liver"]]
    numbered = number_annotated(items, read_annotated_sets(file))
    assert [case.get("annotated_set") for case in numbered] == [2, None, 1, 1, 0]
    assert all(set(case) <= {"image", "label", "annotated_set"} for case in numbered)
