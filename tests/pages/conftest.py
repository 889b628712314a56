"""Pages share the models of a process."""

import pytest


@pytest.fixture(autouse=True)
def _loaded_once(loaded_once):
    pass
