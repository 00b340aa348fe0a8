from pipeline.report.html.parts import Row, Table
from pipeline.study.report.markdown import escape, fence, write_table

from .documents import check_markdown


def test_numbers_and_names_stay_readable():
    for text in ("-.0004 [-.0021, .0013], p < .001", "hippocampus_mri, vnet", "skip: (a, b); .9 > .8"):
        assert escape(text) == text


def test_nothing_is_markup():
    assert escape("a|b") == r"a\|b"
    assert escape("<script>") == r"\<script\>"
    assert escape("[x](http://y)") == r"\[x\](http://y)"
    assert escape("*x* _y_ `z` ~q~ # &amp;") == r"\*x\* \_y\_ \`z\` \~q\~ \# \&amp;"
    assert escape("two\nlines") == "two lines"


def test_tables_are_whole_whatever_is_in_them():
    table = Table("t", ["skip", "a|b", "c"], [Row("x|y", ["1", "2"], "note"), Row("\n- z", ["", r"\|"])])
    text = write_table(table)
    check_markdown(text)
    assert text.splitlines()[2] == r"| x\|y (note) | 1 | 2 |"


def test_a_fence_is_longer_than_any_inside():
    assert fence("a\n```\nb\n", "yaml") == "````yaml\na\n```\nb\n````"
