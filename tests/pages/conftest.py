"""Models are loaded and traced once a process: it takes seconds each, and many a test here needs one."""

import pytest

from core import zoo


@pytest.fixture(scope="session")
def loaded():
    """By name, weights, configuration and options."""
    return {}


@pytest.fixture(autouse=True)
def loaded_once(loaded, monkeypatch):
    load = zoo.load

    def load_once(name, precision="auto", on_cpu=False):
        path = zoo.weights_path(name)
        weights = zoo.weights_checksum(name) if path.is_file() else None
        key = (name, weights, zoo.config_of(name), precision, on_cpu)
        if key not in loaded:
            loaded[key] = load(name, precision, on_cpu)
        return loaded[key]

    monkeypatch.setattr(zoo, "load", load_once)
