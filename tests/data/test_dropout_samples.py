import pytest

from pipeline.data.dropout_samples import check_dropout_samples
from pipeline.data.errors import InputError


@pytest.mark.parametrize(
    ("samples", "runtime"), [(1, "auto"), (1, "openvino"), (1, "int8"), (2, "auto"), (1000, "pytorch")]
)
def test_passes_that_can_be_computed(samples: int, runtime: str) -> None:
    check_dropout_samples(samples, runtime)


@pytest.mark.parametrize("samples", [0, 1001, 1.0, False, "2", None])
def test_no_number_of_passes(samples: object) -> None:
    with pytest.raises(InputError, match=r"dropout_samples: found .*a whole number from 1 to 1000"):
        check_dropout_samples(samples)


@pytest.mark.parametrize("runtime", ["openvino", "int8"])
def test_runtimes_that_remove_dropout(runtime: str) -> None:
    with pytest.raises(InputError, match=f"--runtime {runtime}: found dropout_samples 2 as well"):
        check_dropout_samples(2, runtime)
