"""Settings that hold for every test, made before anything imports Keras."""

import gc
import os
import random
from pathlib import Path

# The app's default; tests of another backend start their own process, since Keras reads this once.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from hypothesis import HealthCheck, settings

# No deadline: the same example takes ten times longer on a shared machine, which is not a fault of the code.
# Derandomised: a change is judged by what it changed, not by the draw.
settings.register_profile(
    "project", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")


# What shares a server, or the models of a process, is tested in one process; else a file is.
TOGETHER = {"browser": "browser", "pages": "pages", "ui/test_takeaway.py": "pages"}
# What takes minutes, the longest first: begun last, one process would work on while the others are idle.
LONG = (
    "browser",
    "pages",
    "core/test_distributed.py",
    "core/test_training.py",
    "core/test_serving.py",
    "test_train.py",
    "test_benchmarks.py",
    "core/test_forecast.py",
    "core/test_model.py",
    "scripts/test_train_forecast.py",
    "scripts/test_publish_model.py",
    "core/test_losses.py",
)
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """The longest groups first; otherwise as they were found."""
    gone = [name for name in (*LONG, *TOGETHER) if not (TESTS / name).exists()]
    if gone:
        raise pytest.UsageError(f"LONG and TOGETHER name tests that are not there: {', '.join(gone)}")
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(_group(item.nodeid), len(LONG)))


def _group(test):
    file = test.partition("::")[0].removeprefix("tests/")
    return TOGETHER.get(file) or TOGETHER.get(file.partition("/")[0]) or file


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is
def pytest_xdist_make_scheduler(config, log):
    """A group of tests after the other for each process."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _group(nodeid)

    return Groups(config, log)


# Networks are made of millions of objects that stay: to search them for garbage takes a tenth of the time.
gc.set_threshold(100_000, 20, 20)


def _freeze():
    """Take what is alive now out of what is searched for garbage.

    Streamlit searches after every run of a page. In a process that has imported TensorFlow, as the tests of
    another file did, that takes most of the time of a page's test.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_finish():
    """The libraries that tests import stay."""
    _freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """What a file of tests leaves behind stays, too."""
    if nextitem is not None and nextitem.path != item.path:
        _freeze()


@pytest.fixture(scope="session")
def loaded():
    """Models by name, weights, configuration and options."""
    return {}


@pytest.fixture
def loaded_once(loaded, monkeypatch):
    """Models are loaded and traced once a process: it takes seconds each, and many a test needs one."""
    from core import zoo

    load = zoo.load

    def load_once(name, precision="auto", on_cpu=False):
        path = zoo.weights_path(name)
        weights = zoo.weights_checksum(name) if path.is_file() else None
        key = (name, weights, zoo.config_of(name), precision, on_cpu)
        if key not in loaded:
            loaded[key] = load(name, precision, on_cpu)
        return loaded[key]

    monkeypatch.setattr(zoo, "load", load_once)


@pytest.fixture
def eagerly(monkeypatch):
    """Functions without graphs: to trace thousands of operations takes longer than a few steps."""
    import tensorflow as tf

    from core import inference

    monkeypatch.setattr(inference, "compiled", lambda function, *_, **__: function)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(autouse=True)
def _same_weights():
    """Weights at random are those of the test alone, whatever ran before it in the same process.

    Keras draws the seeds of its initializers from Python's generator. Its own `set_random_seed` also makes
    TensorFlow forget how it runs each graph that there is, which takes seconds to find out anew.
    """
    random.seed(0)
