"""Settings that hold for every test, made before anything imports Keras."""

import os
import sys

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


@pytest.fixture(autouse=True)
def _same_weights():
    """Weights at random are those of the test alone, whatever ran before it in the same process."""
    if "keras" in sys.modules:
        import keras  # which waits, if a thread of the app is in the middle of it

        keras.utils.set_random_seed(0)
