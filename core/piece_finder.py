"""The pieces of a frame, and where they were in earlier ones: what a forecast reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from core.forecast import Pieces
from core.matching import Match, MotionCentre, by_axis, cells_found
from core.model_config import FORECAST_LAGS, FORECAST_READS, ModelConfig, match_size

# the earlier frames of `FORECAST_READS`, by the frames with which they are matched
_READS_ALIKE = {
    lags: [back for back, own in FORECAST_READS.items() if back and own == lags]
    for lags in dict.fromkeys(lags for back, lags in FORECAST_READS.items() if back)
}


class PieceFinder:
    """Cuts frames into pieces, and finds where these were in earlier frames. Nothing in it is learned.

    Parameters
    ----------
    config : of a network with a forecast
    matches : the network's, by lag
    """

    def __init__(self, config: ModelConfig, matches: Mapping[int, Match]) -> None:
        self.matches, self.patch = matches, config.patch
        # a tenth of a pixel counts, step after step: float32
        side, reach = match_size(config, min(FORECAST_LAGS))
        self.own = MotionCentre(side, name="own_thing", dtype="float32")
        self.other = MotionCentre(side, others=True, name="other_thing", dtype="float32")
        self.pieces = Pieces(side, reach, config.forecast, name="pieces", dtype="float32")
        self.count = self.pieces.count(config.canvas)  # of a frame

    def __call__(self, known: Any, time: int, places: Mapping[int, Any] | None = None) -> list[Any]:
        """The pieces of each of the last `time` frames, see `Pieces`; and of each earlier frame of
        `FORECAST_READS` the sums of its pieces and what is known of them. All (batch x time, ...).

        known : (batch, n, canvas, canvas, 1), those frames and as many before them as matches look back
        places : by lag, where their parts were, as far as it is known already
        """
        last = self._pieces_at(known, time, 0, FORECAST_LAGS, places or {})
        earlier: list[Any] = []
        for lags, backs in _READS_ALIKE.items():
            more = max(backs) - min(backs)
            # of many frames, most are read by more than one: all from the first that is read to the last
            for group in [backs] if time > more else [[back] for back in backs]:
                count = time + max(group) - min(group)
                pieces, _, motion = self._pieces_at(known, count, min(group), lags, places or {})
                sums = ops.sum(pieces, axis=(-1, -2))
                for back in group:
                    first = max(group) - back
                    earlier += [_some(one, count, first, time) for one in (sums, motion)]
        return [*last, *earlier]

    def _pieces_at(
        self, known: Any, time: int, back: int, lags: tuple[int, ...], places: Mapping[int, Any]
    ) -> Any:
        """The pieces of `time` frames, up to that `back` before the last one, matched with those `lags`
        before.
        """
        at = known.shape[1] - time - back

        def of(first: int) -> Any:  # each frame as a clip of its own
            return ops.reshape(known[:, first : first + time], (-1, 1, *known.shape[2:]))

        frame = of(at)
        found = {lag: self._found(lag, known, at, time, places.get(lag)) for lag in lags}
        margins = ops.concatenate(by_axis(list(found.values())), axis=-1)
        things = []
        for thing in (self.own, self.other):
            centre, told = thing(frame, found[min(lags)], margins)
            things.append(ops.stack(by_axis([told, centre]), axis=-2))
        return self.pieces(frame, of(at - 1), *things)

    def _found(self, lag: int, known: Any, at: int, time: int, there: Any) -> Any:
        """Where each part of some frames was `lag` before, each frame as a clip of its own.

        known : (batch, n, canvas, canvas, 1)
        at, time : the first of the frames, and how many
        there : the same of the last frames that are known, as far as it is known; or None
        """
        new = time
        if there is not None:
            new = min(max(known.shape[1] - there.shape[1] - at, 0), time)
        parts = []
        if new:
            earlier = known[:, at - lag : at - lag + new]
            parts.append(cells_found(self.matches[lag], self.patch, known[:, at : at + new], earlier))
        if new < time:
            first = at + new - (known.shape[1] - there.shape[1])
            parts.append(there[:, first : first + time - new])
        found = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=1)
        return ops.reshape(found, (-1, 1, *found.shape[2:]))


def _some(values: Any, time: int, first: int, count: int) -> Any:
    """Of values of `time` frames, (batch x time, ...), those of `count` of them: (batch x count, ...)."""
    if count == time:
        return values
    by_clip = ops.reshape(values, (-1, time, *values.shape[1:]))
    return ops.reshape(by_clip[:, first : first + count], (-1, *values.shape[1:]))
