from pathlib import Path

import pytest

from pipeline.data.findings import FIXABLE
from pipeline.data.fix import FixResult
from pipeline.data.resample import Change
from pipeline.report.fix_text import fix_text


def test_what_was_repaired_and_what_was_not_is_listed_with_the_next_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repaired = {"a.nii": ["grid-rounding", "label-float"], "b.nii": ["label-rounding"]}
    fixed = FixResult(tmp_path / "new one" / "datalist.json", repaired, {"c.mha": "it is not NIfTI"})
    assert fix_text(fixed).splitlines() == [
        "repaired: 2 files, in new one",
        "  a.nii: position copied from its image, stored as integers",
        "  b.nii: rounded to whole numbers",
        "new datalist: new one/datalist.json; it names all other files in their old folders",
        "not repaired: 1 file",
        "  c.mha: it is not NIfTI",
        "next: lightskip check 'new one/datalist.json'",
    ]


def test_where_nothing_was_repaired_no_datalist_is_promised():
    lines = fix_text(FixResult(None, {}, {"c.mha": "it is not NIfTI"})).splitlines()
    assert lines[0].startswith("repaired: nothing, and nothing was written")
    assert lines[1:] == ["not repaired: 1 file", "  c.mha: it is not NIfTI"]


def test_many_files_are_cut_short_and_odd_names_escaped():
    repaired = {f"{number}\x1b[31m.nii": ["label-float"] for number in range(25)}
    text = fix_text(FixResult(Path("/elsewhere/datalist.json"), repaired, {}))
    assert "\x1b" not in text
    assert text.count("stored as integers") == 10
    assert "  and 15 more\n" in text
    assert text.endswith("next: lightskip check /elsewhere/datalist.json")


@pytest.mark.parametrize("kind", sorted(FIXABLE))
def test_every_repair_has_words(kind):
    text = fix_text(FixResult(Path("/elsewhere/datalist.json"), {"a.nii": [kind]}, {}))
    assert "  a.nii: " in text
    assert "  a.nii: \n" not in text


def test_a_resampled_file_has_both_grids():
    change = Change((10, 10, 5), (1.0, 1.0, 2.5), (20, 20, 20), (0.5, 0.5, 0.5), 3.456, 12.0, (0.0, 0.0, 0.0), 0.25)
    text = fix_text(FixResult(Path("/x/d.json"), {"a.nii": ["shape-differs"]}, {}, {"a.nii": change}))
    assert (
        "  a.nii: resampled from 10 x 10 x 5 voxels of 1 x 1 x 2.5 mm to 20 x 20 x 20 voxels of 0.5 x 0.5 x 0.5 mm; "
        "centre 3.46 mm away, turned by 12 degrees; 25 % of the first channel's grid not covered\n"
    ) in text
