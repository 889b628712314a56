"""What a model is asked for: one call, and its time without what is done once."""

import numpy as np
import pytest

from core.prediction_request import PredictionRequest, predict_batch

CLIP = np.zeros((4, 8, 8), np.uint8)


class Prepares:
    """A predictor that is prepared in its first call, which takes long."""

    device, last_seconds, prepared = "CPU", 0.0, False

    def __init__(self):
        self.calls = 0

    def next_frames(self, frames):
        self.calls += 1
        self.prepared = self.calls == 1
        self.last_seconds = 30.0 if self.prepared else 0.1
        return np.full((len(frames), 3, 8, 8, 1), self.calls, np.float32)


@pytest.mark.parametrize(("calls", "number"), [(1, 2), (2, 3)])
def test_the_time_of_a_length_that_is_new_is_that_without_preparation(calls, number):
    predictor = Prepares()
    for _ in range(calls):
        made = predict_batch(predictor, [PredictionRequest(CLIP, "next-frame", 0, 0)] * 2)
    assert predictor.calls == number
    assert [(one.seconds, one.device) for one in made] == [(0.1, "CPU")] * 2
    assert (made[1].frames == number).all()
