"""What the tests of pages make once a process."""

from functools import cache

import pytest
from streamlit.components.v2 import manifest_scanner


@pytest.fixture(autouse=True)
def _loaded_once(loaded_once):
    """Models are shared."""


@pytest.fixture(scope="session", autouse=True)
def _manifests_read_once():
    """Else each app of a test reads the metadata of all packages, to look for components in them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests)
        )
        yield
