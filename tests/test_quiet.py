import logging
import warnings

import pytest

from pipeline.quiet import quiet_monai


def test_only_what_monai_always_says_is_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("monai.bundle.workflows")
    before = logger.level
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet_monai():
            warnings.warn("parsing config_file ['a.json']: it is code", stacklevel=1)
            warnings.warn("something else", stacklevel=1)
            logger.warning("Logging file is set to False")
            logger.error("told")
    assert [str(one.message) for one in seen] == ["something else"]
    assert caplog.messages == ["told"]
    assert logger.level == before


def test_an_error_leaves_the_loggers_as_they_were() -> None:
    logger = logging.getLogger("monai.bundle.scripts")
    before = logger.level
    with pytest.raises(KeyError), quiet_monai():
        raise KeyError("x")
    assert logger.level == before
