import pytest

from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.probe.probes import DEFAULT_PROBES, Probe, parse_probes


def test_probes_are_parsed_in_order_each_once() -> None:
    assert parse_probes(["maps=12", "off", "mean", "off", "shuffle"]) == [
        Probe("maps", 12),
        Probe("off"),
        Probe("mean"),
        Probe("shuffle"),
    ]
    assert parse_probes(["none"]) == []


def test_a_probe_has_the_name_that_selects_it() -> None:
    for word in ("off", "mean", "shuffle", "maps=3"):
        [probe] = parse_probes([word])
        assert probe.name == word


@pytest.mark.parametrize("word", ["map=1", "maps=0", "maps", "maps=-1", "Off", "", "none"])
def test_another_word_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="expected off, shuffle, mean or maps=N"):
        parse_probes(["off", word])


def test_the_help_names_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["probe", "--help"])
    assert f"(default: {' '.join(DEFAULT_PROBES)})" in " ".join(capsys.readouterr().out.split())
