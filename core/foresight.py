"""What a network makes of clips that are known, computed once: a foresight learns from it what to trust.

Nothing but the trust learns there, and what it reads stays the same: the network's features, its own picture
of the next frame, and that of the forecast. To predict a clip takes many times as long as to learn from
what was predicted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.learning_models import apart_model
from core.model import Network
from core.moving_mnist import calm_batch, to_frames, training_batch
from core.train_config import TrainConfig

KNOWN_CLIPS = 600  # 1.4 GB where they have 20 frames, most of it features
CALM = 5  # one clip of so many is a calm one
TOGETHER = 8  # clips that are predicted at a time
_KNOWN_STREAM = 3  # beside the streams of clips and of rollouts


class KnownClips:
    """What a foresight reads of clips, frame by frame, and the frames that came.

    Four of five clips are those of any training, the others calm ones: where digits stand still, a network
    may know the next frame exactly, and a mixture with anything is not exact.

    Parameters
    ----------
    network : that predicts them
    config : of the training; its seed and the length of its clips
    goes_on : asked now and then; where it says no, it is left at those that there are
    """

    def __init__(self, network: Network, config: TrainConfig, goes_on: Callable[[], bool]) -> None:
        self.config = config
        model = apart_model(network, config.frames - 1)
        self._parts: list[np.ndarray] = []
        self._frames = 0
        for step in range(KNOWN_CLIPS // TOGETHER):
            if step and not goes_on():
                break
            make = calm_batch if step % CALM == 0 else training_batch
            clips = to_frames(make(config.seed, step, batch_size=TOGETHER, frames=config.frames))[..., None]
            read = [np.asarray(part) for part in model.predict_on_batch(clips[:, :-1])]
            parts = [part.reshape(-1, *part.shape[2:]) for part in (*read, clips[:, 1:])]
            if not self._parts:
                count = KNOWN_CLIPS // TOGETHER * len(parts[0])
                # half of float32's memory, for an error that a trust does not notice
                self._parts = [np.empty((count, *part.shape[1:]), np.float16) for part in parts]
            after = self._frames + len(parts[0])
            for kept, part in zip(self._parts, parts, strict=True):
                kept[self._frames : after] = part
            self._frames = after

    def batch(self, step: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """As many frames as a batch of clips has, of any clips: features, own and foreseen pictures, each
        float32 (batch, frames - 1, ...); and the true ones.
        """
        shape = self.config.batch_size, self.config.frames - 1
        rng = np.random.default_rng([self.config.seed, step, _KNOWN_STREAM])
        some = rng.integers(self._frames, size=shape)
        *read, truth = (part[some].astype(np.float32) for part in self._parts)
        return tuple(read), truth
