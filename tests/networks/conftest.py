import pytest

from pipeline.networks import Skip


@pytest.fixture
def registry():
    """Return the registry, and afterwards remove what a test added to it."""
    before = dict(Skip.components)
    yield Skip
    Skip.components.clear()
    Skip.components.update(before)
