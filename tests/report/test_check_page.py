import base64
import hashlib
import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pipeline.report.check_page import write_check_page
from pipeline.report.check_words import case_severities

VOID = {"meta", "img", "input", "link", "br", "hr", "rect", "path"}
TIMES = "\N{MULTIPLICATION SIGN}"
SEVERITIES = ("problem", "warning", "note")
EVIL = '<img src=x onerror="alert(1)">&amp;\'\n\x1b[31m\u202egnp.exe\udcff'
# What a reader sees of it: the tag as text; the terminal's escape, the turn of direction and the stray byte spelt out.
EVIL_SHOWN = '<img src=x onerror="alert(1)">&amp;\' \\x1b[31m\\u202egnp.exe\\udcff'


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.parts = []

    def __getitem__(self, name):
        return self.attributes[name]

    @property
    def classes(self):
        return (self.attributes.get("class") or "").split()

    @property
    def text(self):
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    def every(self, tag=None, *, of_class=None):
        """All elements inside, in document order, with this tag and class."""
        for part in self.parts:
            if isinstance(part, Element):
                if tag in {None, part.tag} and (of_class is None or of_class in part.classes):
                    yield part
                yield from part.every(tag, of_class=of_class)

    def inside(self, tag):
        """Whether it stands in an element with this tag."""
        return self.parent is not None and (self.parent.tag == tag or self.parent.inside(tag))


class Tree(HTMLParser):
    """A page as elements; a tag that is closed out of turn is an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.root = self.open = Element("document", {}, None)
        self.feed(text)
        self.close()
        assert self.open is self.root

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        element = Element(tag, dict(attributes), self.open)
        self.open.parts.append(element)
        if tag not in VOID:
            self.open = element

    def handle_startendtag(self, tag, attributes):
        self.open.parts.append(Element(tag, dict(attributes), self.open))

    def handle_endtag(self, tag):
        assert tag == self.open.tag
        self.open = self.open.parent

    def handle_data(self, data):
        self.open.parts.append(data)


def picture(shade, form="PNG"):
    stream = io.BytesIO()
    Image.fromarray(np.full((40, 60, 3), shade % 256, np.uint8)).save(stream, format=form)
    return stream.getvalue()


@pytest.fixture
def page(tmp_path):
    """Write the page of a report and read it back as elements."""

    def written(report, thumbnails=None):
        write_check_page(report, thumbnails or {}, tmp_path / "out" / "check.html")
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["check.html"]
        return Tree((tmp_path / "out" / "check.html").read_text(encoding="utf-8")).root

    return written


def cards_of(root):
    return list(root.every("article", of_class="card"))


def name_of(card):
    return next(card.every("h3")).text


def test_every_finding_is_there_once_with_what_was_found_expected_and_to_be_done(page, reports):
    report = reports.every_kind()
    root = page(report)
    rows = list(root.every("tr", of_class="finding"))
    assert len(rows) == len(report["findings"])
    for found in report["findings"]:
        [row] = [row for row in rows if found["found"] in [cell.text for cell in row.every("td")]]
        cells = [cell.text for cell in row.every("td")]
        assert (found["case"] or "whole dataset") in cells
        assert found["file"] is None or found["file"] in cells
        group = row
        while "kind" not in group.classes:
            group = group.parent
        assert found["severity"] in group.classes
        assert found["kind"] in [code.text for code in group.every("code")]
        assert group.text.count(found["expected"]) == group.text.count(found["remedy"]) == 1


def test_findings_are_grouped_by_kind_and_problems_come_first(page, reports):
    groups = list(page(reports.every_kind()).every("details", of_class="kind"))
    severities = [next(name for name in SEVERITIES if name in group.classes) for group in groups]
    assert severities == sorted(severities, key=SEVERITIES.index)
    assert len(groups) == len(reports.kinds)
    assert {group["id"] for group in groups} == {f"{severity}-{kind}" for kind, severity in reports.kinds.items()}
    assert [group for group, severity in zip(groups, severities, strict=True) if "open" in group.attributes] == [
        group for group, severity in zip(groups, severities, strict=True) if severity != "note"
    ]


def test_what_differs_between_findings_of_a_kind_stands_in_their_rows(page, reports):
    findings = [
        reports.finding("shape-differs", f"liver_{n:04d}", n, expected=f"shape {n}", remedy=f"do {n}") for n in (1, 2)
    ]
    rows = list(page(reports.report(3, findings)).every("tr", of_class="finding"))
    cells = [{cell["data-title"]: cell.text for cell in row.every("td")} for row in rows]
    assert [(row["Expected"], row["What to do"]) for row in cells] == [("shape 1", "do 1"), ("shape 2", "do 2")]


def test_many_findings_of_a_kind_are_folded_and_still_there(page, reports):
    findings = [reports.finding("constant", f"liver_{n:04d}", n) for n in range(60)]
    root = page(reports.report(60, findings))
    rest = next(root.every("details", of_class="rest"))
    assert next(rest.every("summary")).text == "40 more"
    assert len(list(rest.every("tr", of_class="finding"))) == 40
    assert len(list(root.every("tr", of_class="finding"))) == 60


def test_every_case_has_one_card_and_those_with_problems_then_warnings_come_first(page, reports):
    report = reports.every_kind()
    cards = cards_of(page(report))
    assert sorted(map(name_of, cards)) == sorted(case["name"] for case in report["cases"])
    worst = {}
    for found in report["findings"]:
        worst.setdefault(found["case"], set()).add(found["severity"])
    for card in cards:
        severities = worst.get(name_of(card), {"clean"})
        assert card["data-severity"] == next(s for s in (*SEVERITIES, "clean") if s in severities)
        assert card["data-severity"] in card.classes
    ranks = [{"problem": 0, "warning": 1}.get(card["data-severity"], 2) for card in cards]
    assert ranks == sorted(ranks)
    others = [name_of(card) for card, rank in zip(cards, ranks, strict=True) if rank == 2]
    assert others == sorted(others)


def test_a_card_says_grid_part_sizes_and_findings(page, reports):
    report = reports.report(2, [reports.finding("label-volume", "liver_0001"), reports.finding("nan", "liver_0001")])
    report["cases"][1] |= {"shape": [512, 340, 60], "spacing": [0.7, 0.7, 5.0], "orientation": "LAS", "fold": 3}
    report["cases"][1]["classes"] = {
        "liver": {"voxels": 9, "ml": 1502.4},
        "tumour": {"voxels": 0, "ml": 0.0},
    }
    root = page(report)
    [card] = [card for card in cards_of(root) if name_of(card) == "liver_0001"]
    text = card.text.replace(TIMES, "x")
    for fact in ("training, fold 3", "512 x 340 x 60 voxels", "0.7 x 0.7 x 5 mm, LAS", "1,502 ml", "tumour0 ml"):
        assert fact in text
    badges = list(card.every("a", of_class="badge"))
    assert [badge["href"] for badge in badges] == ["#problem-nan", "#warning-label-volume"]
    assert card["data-sizes"].split() == ["1502.4", "0"]
    for word in ("liver_0001", "nan", "label-volume", "las", "fold 3"):
        assert word in card["data-words"]


def test_a_case_that_could_not_be_read_has_a_card_without_a_grid(page, reports):
    root = page(reports.report(2, [reports.finding("missing", "liver_0001")]))
    card = cards_of(root)[0]
    assert name_of(card) == "liver_0001"
    assert "no picture" in card.text
    assert "voxels" not in card.text
    assert " mm" not in card.text


def test_links_lead_to_what_is_there_and_ids_are_unique(page, reports):
    root = page(reports.every_kind())
    ids = [element["id"] for element in root.every() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    links = [element["href"] for element in root.every("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)
    names = {element["id"]: name_of(element) for element in cards_of(root)}
    for row in root.every("tr", of_class="finding"):
        for link in row.every("a"):
            assert names[link["href"].removeprefix("#")] == link.text


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WebP"])
def test_pictures_are_embedded_as_they_are(page, reports, form):
    report = reports.report(5)
    thumbnails = {case["name"]: picture(50 * index, form) for index, case in enumerate(report["cases"][:4])}
    cards = cards_of(page(report, thumbnails))
    for card in cards[:4]:
        [image] = card.every("img")
        start, _, data = image["src"].partition(";base64,")
        assert start == f"data:image/{form.lower()}"
        assert base64.b64decode(data, validate=True) == thumbnails[name_of(card)]
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (60, 40)
        assert name_of(card) in image["alt"]
        assert image["loading"] == "lazy"
    assert not list(cards[4].every("img"))


def test_what_is_no_picture_is_not_embedded(page, reports):
    root = page(reports.report(1), {"liver_0000": b"<svg onload=alert(1)>"})
    assert not list(root.every("img"))


def test_names_from_the_dataset_are_text_and_never_markup(page, reports):
    evil = reports.finding("truncated", EVIL, file=EVIL, found=EVIL, expected=EVIL, remedy=EVIL)
    strange = reports.finding(EVIL, None, found="strange")
    report = reports.report(2, [evil, strange], channels=(EVIL,), labels={"background": 0, EVIL: 1})
    report["cases"][0] |= {"name": EVIL, "part": EVIL, "subject": "5", "orientation": EVIL, "dtypes": [EVIL]}
    report |= {"name": EVIL, "dataset_dir": EVIL, "made": EVIL, "versions": {EVIL: EVIL}, "tolerances": {EVIL: 1}}
    clean = page(reports.every_kind())
    root = page(report, {EVIL: picture(1)})
    # The page has the elements that it has without: nothing was smuggled in.
    assert {element.tag for element in root.every()} - {"img"} <= {element.tag for element in clean.every()}
    [image] = root.every("img")
    assert set(image.attributes) == {"src", "alt", "width", "height", "loading", "decoding"}
    assert not any(name.startswith("on") for element in root.every() for name in element.attributes)
    row = next(root.every("tr", of_class="finding"))
    assert [cell.text for cell in row.every("td")] == [EVIL_SHOWN] * 3
    assert name_of(cards_of(root)[0]) == EVIL_SHOWN
    assert next(root.every("h1")).text == EVIL_SHOWN
    assert not re.search("[\x1b\u202e]", root.text)


def test_the_page_loads_nothing_and_runs_only_its_own_script(page, reports):
    root = page(reports.every_kind(), {"liver_0001": picture(0)})
    for element in root.every():
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = element.attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/"))
        assert "style" not in element.attributes  # the policy below would refuse it
    [policy] = [meta["content"] for meta in root.every("meta") if meta.attributes.get("http-equiv")]
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:;")
    for tag in ("style", "script"):
        [element] = root.every(tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert "url(" not in element.text
        assert "@import" not in element.text


def test_without_scripts_all_is_shown_but_the_controls(page, reports):
    root = page(reports.every_kind())
    hidden = [element for element in root.every() if "hidden" in element.attributes]
    assert [element["id"] for element in hidden] == ["controls"]
    assert all(control.inside("label") for tag in ("input", "select") for control in root.every(tag))


def test_the_head_counts_what_the_report_lists(page, reports):
    report = reports.every_kind()
    root = page(report)
    counts = {severity: sum(f["severity"] == severity for f in report["findings"]) for severity in SEVERITIES}
    tiles = [tile.text for tile in next(root.every("ul", of_class="tiles")).every("li")]
    assert tiles == [
        "208cases",
        f"{counts['problem']}problems",
        f"{counts['warning']}warnings",
        f"{counts['note']}notes",
    ]
    assert next(root.every("html"))["lang"] == "en"
    assert next(root.every("h1")).text == "liver"
    assert next(root.every("title")).text == "Dataset check: liver"
    assert "20 November 2026, 18:00 UTC, in 12.3 s" in next(root.every("header")).text
    assert report["datalist_sha256"] in next(root.every("footer")).text


def test_tables_tell_parts_geometry_labels_and_intensities(page, reports):
    report = reports.report(6, test=1)
    for case, x, ml, code in zip(
        report["cases"], range(10, 60, 10), (1, 2, 4, 8, 16), ("RAS",) * 4 + ("LPS",), strict=False
    ):
        case |= {"shape": [x, 7, 7], "spacing": [0.5, 1.0, 2.5], "orientation": code}
        case["classes"] = {"liver": {"voxels": 1, "ml": ml}, "tumour": {"voxels": 0, "ml": 0.0}}
        case["intensity"] = [{"channel": 0, "min": -ml, "max": 1000 * ml, "mean": None}]
    for key in ("shape", "spacing", "orientation", "intensity"):
        del report["cases"][5][key]
    root = page(report)
    tables = {region["aria-label"]: region for region in root.every("div", of_class="scroll")}
    rows = {
        name: [[cell.text for cell in row.parts if isinstance(cell, Element)][:5] for row in region.every("tr")][1:]
        for name, region in tables.items()
    }
    folds = [["training, fold 0", "1"], *([f"training, fold {fold}", "1"] for fold in (1, 2, 3, 4)), ["test", "1"]]
    assert rows["Parts and folds"] == folds
    assert rows["Orientation"] == [["RAS", "4"], ["LPS", "1"]]
    assert rows["Geometry"][2][:4] == ["Spacing along axis 3 mm", "2.5", "2.5", "2.5"]
    assert rows["Geometry"][3][:4] == ["Shape along axis 1 voxels", "10", "30", "50"]
    assert rows["Labels"][0] == ["liver 1", "5 of 5", "1", "4", "16"]
    assert rows["Labels"][1] == ["tumour 2", "0 of 5", "-", "-", "-"]
    assert [row[:4] for row in rows["Intensities"]] == [
        ["CT, lowest", "-16", "-4", "-1"],
        ["CT, highest", "1,000", "4,000", "16,000"],
    ]


def test_histograms_say_in_words_what_they_show_and_count_every_case(page, reports):
    report = reports.report(5)
    for case, ml in zip(report["cases"], (1.0, 1.0, 1.0, 2.0, 3.0), strict=True):
        case["classes"] = {"liver": {"voxels": 1, "ml": ml}}
    [plot] = [svg for svg in page(report).every("svg") if svg["aria-label"].startswith("liver")]
    assert plot["aria-label"] == "liver: 5 cases from 1 to 3 ml, median 1 ml"
    assert plot["role"] == "img"
    bars = [(float(bar["x"]), float(bar["height"])) for bar in plot.every("rect")]
    assert [x for x, _ in bars] == [0.0, 96.0, 184.0]  # first, middle and last of 24 bars across 192
    assert [height / bars[0][1] for _, height in bars] == pytest.approx([1, 1 / 3, 1 / 3], abs=0.01)


@pytest.mark.parametrize("values", [(-1e308, 1e308, 0.0), (1e-9, 1.0, 1e9), (5e-324, 1.0, 2.0), (0.0, 1e-320, 5e-324)])
def test_histograms_of_extreme_intensities_stay_inside_their_axis(page, reports, values):
    report = reports.report(3)
    for case, value in zip(report["cases"], values, strict=True):
        case["intensity"] = [{"channel": 0, "min": value, "max": value, "mean": value}]
    plots = [svg for svg in page(report).every("svg") if svg["aria-label"].startswith("CT")]
    assert len(plots) == 3
    for plot in plots:
        assert all(0 <= float(bar["x"]) < 192 for bar in plot.every("rect"))


def test_2d_datasets_are_measured_in_square_millimetres_and_pixels(page, reports):
    report = reports.report(3, dims=2, channels=("EM",), labels={"background": 0, "cell": 255})
    root = page(report)
    assert "mm²" in cards_of(root)[0].text
    assert f"512 {TIMES} 512 pixels" in cards_of(root)[0].text
    assert " ml" not in root.text


@pytest.mark.parametrize("number", [0, 1])
def test_an_empty_and_a_single_case_dataset_have_a_page(page, reports, number):
    root = page(reports.report(number))
    assert len(cards_of(root)) == number
    assert next(root.every("ul", of_class="tiles")).text.split("\n")[1] == f"{number}case{'s' * (number != 1)}"


def test_colours_on_the_cards_are_those_of_the_outlines(page, reports):
    report = reports.report(1, [reports.finding("label-undeclared", "liver_0000")])
    root = page(report)
    legend = next(root.every("ul", of_class="legend"))
    assert [entry.text for entry in legend.every("li")] == ["liver", "tumour", "undeclared"]
    style = next(root.every("style")).text
    shown = [re.search(rf"\.swatch\.{spot.classes[1]}{{background:(#\w+)}}", style)[1] for spot in legend.every("i")]
    assert shown == ["#E69F00", "#56B4E9", "#FF00FF"]


def test_a_hundred_labels_do_not_fill_every_card(page, reports):
    labels = {"background": 0} | {f"organ {n}": n for n in range(1, 105)}
    root = page(reports.report(3, labels=labels))
    assert all(len(next(card.every("ul", of_class="classes")).parts) == 7 for card in cards_of(root))
    assert "and 98 more labels" in cards_of(root)[0].text
    table = next(r for r in root.every("div", of_class="scroll") if r["aria-label"] == "Labels")
    assert len(list(table.every("tr"))) == 105


@pytest.mark.slow
def test_two_thousand_cases_stay_small_and_complete(tmp_path, reports):
    findings = [reports.finding("label-float", f"liver_{n:04d}", n) for n in range(2000)]
    write_check_page(reports.report(2000, findings), {}, tmp_path / "check.html")
    text = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert text.count('<article class="card') == text.count('<tr class="finding"') == 2000
    assert len(text) < 2000 * 2000  # without pictures


def test_findings_are_not_counted_again_for_every_case(tmp_path, reports, monkeypatch):
    calls = []

    def count(groups):
        calls.append(len(groups))
        return case_severities(groups)

    monkeypatch.setattr("pipeline.report.check_page.case_severities", count)
    findings = [reports.finding("label-float", f"liver_{n:04d}", n) for n in range(9)]
    write_check_page(reports.report(9, findings), {}, tmp_path / "check.html")
    assert len(calls) == 1


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, reports):
    file = tmp_path / "check.html"
    file.write_text("old")
    with pytest.raises(KeyError):
        write_check_page(reports.report(1) | {"findings": [{}]}, {}, file)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["check.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_as_wcag_asks(page, reports, scheme):
    style = next(page(reports.report(1)).every("style")).text
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[1]))
    pairs = [(ink, ground) for ink in ("ink", "soft", "link", *SEVERITIES) for ground in ("paper", "card")]
    pairs += [(name, f"{name}-wash") for name in (*SEVERITIES, "good")]
    for ink, ground in pairs:
        light, dark = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def luminance(colour):
    """Relative luminance of sRGB, as WCAG 2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.slow
def test_page_and_table_need_neither_torch_nor_matplotlib():
    code = (
        "import sys, pipeline.report.check_page, pipeline.report.check_table\n"
        "print({'torch', 'monai', 'matplotlib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert (run.returncode, run.stdout.strip()) == (0, "set()"), run.stderr
