from pathlib import Path

from pipeline.data.fix import FixResult
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
