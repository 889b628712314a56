"""Settings that hold for every test, made before anything imports Keras."""

import gc
import os
import sys
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


# Files that take minutes, the longest first: begun last, one process would work on while the others are idle.
LONG = (
    "core/test_distributed.py",
    "core/test_training.py",
    "core/test_serving.py",
    "test_train.py",
    "test_benchmarks.py",
    "pages/test_training.py",
    "browser/test_app.py",
    "pages/test_inside.py",
    "browser/test_training.py",
    "core/test_forecast.py",
    "pages/test_pages.py",
    "pages/test_own_weights.py",
    "core/test_model.py",
    "core/test_losses.py",
    "ui/test_takeaway.py",
    "browser/test_inside.py",
    "browser/test_accessibility.py",
)


def pytest_collection_modifyitems(items):
    """Long files first; otherwise as they were found."""
    order = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    gone = [str(path) for path in order if not path.is_file()]
    if gone:
        raise pytest.UsageError(f"LONG names files that are not there: {', '.join(gone)}")
    items.sort(key=lambda item: order.get(item.path, len(LONG)))


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


@pytest.fixture(autouse=True)
def _same_weights():
    """Weights at random are those of the test alone, whatever ran before it in the same process."""
    if "keras" in sys.modules:
        import keras  # which waits, if a thread of the app is in the middle of it

        keras.utils.set_random_seed(0)
