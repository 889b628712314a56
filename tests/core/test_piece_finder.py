"""What a forecast reads of a clip does not depend on how many frames are asked about at once."""

import numpy as np
import pytest

from core.matching import cells_found
from core.model import Network
from core.model_config import FORECAST_READS
from tests.core.test_forecast import FOLLOWING, SIDE
from tests.core.test_model import clip

MORE = 3  # frames asked about at once
ROUNDING = 1e-4  # of sums in another order; another frame differs by a tenth
EARLIER = [back for back in FORECAST_READS if back]


@pytest.fixture(scope="module")
def network():
    return Network(FOLLOWING)


@pytest.fixture(scope="module")
def known(network):
    """As many frames as matches look back, all seen, and some after them."""
    return clip(max(network.matches) + MORE, SIDE)


def of_the_last(network, known, frames):
    """What is read of so many frames, when the clip ends with them."""
    return [np.asarray(part) for part in network.finder(known[:, : max(network.matches) + frames], 1)]


def test_many_frames_are_read_as_each_is_alone(network, known):
    together = [np.asarray(part) for part in network.finder(known, MORE)]
    for number in range(MORE):
        for all_parts, alone in zip(together, of_the_last(network, known, number + 1), strict=True):
            np.testing.assert_allclose(all_parts[number : number + 1], alone, atol=ROUNDING)


def test_what_is_matched_already_is_not_matched_again(network, known, monkeypatch):
    expected = [np.asarray(part) for part in network.finder(known, MORE)]
    furthest = max(network.matches)
    places = {
        lag: cells_found(match, FOLLOWING.patch, known[:, furthest:], known[:, furthest - lag : -lag])
        for lag, match in network.matches.items()
    }
    matched = {lag: match.call for lag, match in network.matches.items()}
    counts = dict.fromkeys(matched, 0)
    for lag, match in network.matches.items():

        def counted(frames, before, lag=lag):
            counts[lag] += frames.shape[1]
            return matched[lag](frames, before)

        monkeypatch.setattr(match, "call", counted)
    found = network.finder(known, MORE, places)
    for part, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, one, atol=ROUNDING)
    # only frames before those, that are read of what came earlier
    assert all(count == 0 for lag, count in counts.items() if lag not in (1, 2))
    assert 0 < counts[1] < max(EARLIER) + MORE


def test_an_earlier_frame_says_what_the_last_of_a_shorter_clip_says(network, known):
    """Of its pieces only the ink goes on, and what is known of their motion, from its two nearest frames."""
    pieces, *_ = of_the_last(network, known, MORE)
    back = min(EARLIER)
    _, _, _, ink, _, *_ = of_the_last(network, known, MORE)
    before = np.concatenate([np.zeros_like(known[:, :back]), known[:, : known.shape[1] - back]], axis=1)
    shorter, *_ = of_the_last(network, before, MORE)
    np.testing.assert_allclose(np.sort(ink), np.sort(shorter.sum(axis=(-1, -2))), atol=1e-5)
    assert not np.allclose(np.sort(ink), np.sort(pieces.sum(axis=(-1, -2))), atol=1e-2)
