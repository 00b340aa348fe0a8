import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.report import report_page
from pipeline.report.report_page import write_report
from pipeline.report.report_read import read_content
from pipeline.report.report_volumes import read_case_volumes
from pipeline.report.viewer import MISSING, Viewer

from .comparison_folder import write_comparison

EVIL = "<script>alert('x')</script>\" onload=\"y"
VIEWER = Viewer("var niivue = {};\n// a script with </script> inside\n", "A <licence>\n  with lines", "1.2", "ab" * 32)


class Reader(HTMLParser):
    """Collects the elements of a page with their attributes, and the text of each ``title``, ``bdi`` and ``dd``."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts = [], []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts.append(data)

    def handle_endtag(self, tag):  # noqa: ARG002 - the parent's signature
        self._inside = ""

    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(report_page, "find_viewer", lambda: VIEWER)


def write(tmp_path, **options):
    out = write_comparison(
        tmp_path / "data", **{key: options.pop(key) for key in ("cases", "sets", "labels") if key in options}
    )
    notes = write_report(out, tmp_path / "report.html", **options)
    return (tmp_path / "report.html").read_text(encoding="utf-8"), notes


def test_the_page_loads_nothing_and_its_policy_allows_only_its_own_scripts(tmp_path, installed):
    text, notes = write(tmp_path)
    assert notes == []
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    parts = dict(part.split(" ", 1) for part in policy.replace("&#39;", "'").split("; "))
    assert parts.keys() == {"default-src", "base-uri", "form-action", "img-src", "style-src", "script-src"}
    assert (parts["default-src"], parts["img-src"]) == ("'none'", "data:")
    assert re.fullmatch(r"'sha256-[\w+/=]+' 'sha256-[\w+/=]+'", parts["script-src"])
    assert "unsafe" not in policy
    for tag, attributes in Reader(text).elements:
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:image/")), (tag, name, target)
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]


def test_names_are_text_wherever_they_stand(tmp_path, installed):
    text, _ = write(tmp_path, cases=(EVIL, "b", "c"), sets=(EVIL + "1", "light"), labels={EVIL + "2": 1, "tail": 2})
    assert "<script>alert" not in text
    reader = Reader(text)
    assert not [attributes for _, attributes in reader.elements if "onload" in attributes]
    # The page's own script, the viewer's code, and the volumes of three cases.
    assert [attributes.get("type") for tag, attributes in reader.elements if tag == "script"] == [
        *["text/plain"] * 4,
        None,
    ]


def test_every_link_leads_to_a_part_of_the_page_and_no_part_is_there_twice(tmp_path, installed):
    text, _ = write(tmp_path)
    reader = Reader(text)
    ids = reader.ids()
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for tag, attributes in reader.elements if tag == "a"]
    assert set(links) <= set(ids)
    assert {"case-1", "case-4", "missed", "invented", "means", "run"} <= set(links)


def test_sentences_tables_and_licence_are_on_the_page(tmp_path, installed):
    text, _ = write(tmp_path)
    for part in (
        "No difference in Dice of head is shown between heavy and light.",
        "These numbers were made by hand.",
        "lightskip compare reference set_0 set_1 -o out",
        "1: 0.",
        "NiiVue 1.2",
        "ab" * 32,
        "A &lt;licence&gt;\n  with lines",
    ):
        assert part in text


def test_without_the_viewer_the_page_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(report_page, "find_viewer", lambda: None)
    text, notes = write(tmp_path)
    assert notes == [MISSING]
    assert MISSING in text
    assert "make viewer" in MISSING
    assert 'class="pack"' not in text
    assert 'id="viewer-code"' not in text


def test_the_viewer_can_be_left_out(tmp_path, installed):
    text, notes = write(tmp_path, viewer=False)
    assert notes == []
    assert 'id="viewer-code"' not in text


def test_cases_beyond_the_pictures_have_numbers_only(tmp_path, installed):
    text, _ = write(tmp_path, pictures=1)
    assert text.count('<div class="planes">') == 1
    assert len(re.findall(r'<details class="case"', text)) == 4
    assert "The first 1 of 4 cases have pictures" in text


def test_label_maps_that_are_gone_are_named_in_their_case(tmp_path, installed):
    out = write_comparison(tmp_path / "data")
    (tmp_path / "data" / "set_1" / "scan_0.nii.gz").unlink()
    (tmp_path / "data" / "images" / "scan_1.nii.gz").write_bytes(b"")
    write_report(out, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The label map of light is not shown: " in text
    assert "The scan is not shown: " in text
    assert text.count('class="pack"') == 4


@pytest.mark.parametrize("output", ["taken", "file/report.html"])
def test_an_output_that_cannot_be_written_is_refused(tmp_path, output):
    out = write_comparison(tmp_path / "data", cases=("a",))
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(out, tmp_path / output)
    assert [path.name for path in (tmp_path / "taken").iterdir()] == []


def test_numbers_that_are_undefined_are_dashes(tmp_path, installed):
    out = write_comparison(tmp_path / "data", sets=("only",))
    summary = json.loads((out / "summary.json").read_text())
    summary["statistics"]["only"]["head"]["dice"] = {"mean": None, "interval": None}
    (out / "summary.json").write_text(json.dumps(summary))
    write_report(out, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "nan" not in re.sub(r"base64,[^\"]*|<script.*?</script>", "", text, flags=re.DOTALL).lower()


def test_a_page_of_regions_draws_labels_and_no_ignored_voxels(tmp_path, monkeypatch, capsys):
    """A comparison as `lightskip compare` writes it: rows of regions, pictures of labels without the ignored value."""
    monkeypatch.chdir(tmp_path)
    voxels = np.zeros((20, 18, 12), np.uint8)
    voxels[4:14, 4:14, 3:9] = 1
    voxels[7:11, 7:11, 4:8] = 2
    reference = voxels.copy()
    reference[:, 12:] = 255
    for folder, one in (("ref", reference), ("one", voxels)):
        Path(folder).mkdir()
        for name in "ab":
            nibabel.save(nibabel.Nifti1Image(one, np.eye(4)), f"{folder}/{name}.nii.gz")
    words = ["--labels", "edema=1", "core=2", "--regions", "whole=1,2", "core=2", "--ignore", "255"]
    assert main(["compare", "ref", "one", *words, "-o", "out", "--jobs", "1", "--resamples", "200"]) == 0
    assert main(["report", "out", "-o", "page.html"]) == 0
    capsys.readouterr()
    page = Path("page.html").read_text()
    assert ".swatch.r0{background:linear-gradient(90deg," in page
    assert "Rows are of regions, which may overlap: whole is edema + core." in page
    assert "Ignored voxels of a reference count in no metric" in page
    [case, _] = read_content("out").cases
    maps = read_case_volumes(case).maps
    assert {value for one in maps.values() for value in np.unique(one).tolist()} == {0, 1, 2}
    assert read_content("out").rows == ["whole", "core"]
