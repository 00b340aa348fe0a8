import pytest

from pipeline.networks import Skip


@pytest.fixture
def registry():
    """The registry, with what a test adds to it taken out again."""
    before = dict(Skip.components)
    yield Skip
    Skip.components.clear()
    Skip.components.update(before)
