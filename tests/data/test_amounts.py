import pytest

from pipeline.data.amounts import parse_memory
from pipeline.data.errors import InputError


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8GB", 8 * 10**9),
        ("7.5GiB", 7.5 * 2**30),
        ("8 gb", 8 * 10**9),
        (" 512MB ", 512 * 10**6),
        ("1024MiB", 2**30),
        ("0.5TB", 5 * 10**11),
        ("1tib", 2**40),
    ],
)
def test_amounts_of_memory(text: str, amount: float) -> None:
    assert parse_memory(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8",
        "GB",
        "8 apples",
        "-8GB",
        "0GB",
        "0.0MB",
        "8GB!",
        "1e3GB",
        "nan GB",
        "8,5GB",
        "1001TB",
        "9" * 400 + "GB",
        "0.0000001MB",
    ],
)
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(InputError, match="--memory"):
        parse_memory(text)


def test_a_long_amount_is_shortened_in_the_message() -> None:
    with pytest.raises(InputError, match="…; expected a number above 0") as raised:
        parse_memory("9" * 400 + "GB")
    assert len(str(raised.value)) < 250
