"""How well a model predicts a set of clips, beside the baselines that it must beat.

Scored slice by slice: memory does not grow with the number of sequences.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

from core import baselines, metrics, physics
from core.clip_sets import ClipSet, Motion
from core.moving_mnist import to_frames

# (sequences, steps, height, width) of truth and predictions, float32 in [0, 1] -> (sequences, steps)
FrameMetric = Callable[[np.ndarray, np.ndarray], np.ndarray]
Mode = Literal["next-frame", "rollout"]
MODES: tuple[Mode, ...] = get_args(Mode)
# Sequences scored together: enough to amortise each call, few enough for 150 MB of metrics' working arrays.
SLICE_SEQUENCES = 32


class Model(Protocol):
    """What evaluation asks of a model: `core.inference.Predictor` has it."""

    name: str
    device: str
    causal: bool

    def next_frames(self, frames: np.ndarray) -> np.ndarray:
        """(batch, time, height, width, 1) -> (batch, time - 1, height, width, 1)."""

    def rollout(self, context_frames: np.ndarray, horizon: int) -> np.ndarray:
        """(batch, context, height, width, 1) -> (batch, horizon, height, width, 1)."""


@dataclass(frozen=True)
class Task:
    """What a model is asked to predict of each clip.

    Attributes
    ----------
    mode : "next-frame" (the truth up to t gives frame t + 1) or "rollout" (the model feeds on itself)
    context_frames, horizon_frames : frames seen and frames predicted; of a rollout only
    """

    mode: str = "next-frame"
    context_frames: int = 10
    horizon_frames: int = 10

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be {' or '.join(MODES)}; got {self.mode!r}")
        if self.context_frames < 1:
            raise ValueError(f"context must be 1 or more; got {self.context_frames}")
        if self.horizon_frames < 1:
            raise ValueError(f"horizon must be 1 or more; got {self.horizon_frames}")

    @property
    def first_target(self) -> int:
        """Index of the frame that the first prediction is of."""
        return 1 if self.mode == "next-frame" else self.context_frames

    def predicted_frames(self, frames: int) -> int:
        """Predictions from a clip of so many frames.

        Raises
        ------
        ValueError
            If the clip is too short for the task.
        """
        if self.mode == "next-frame":
            if frames < 2:
                raise ValueError(f"frames must be 2 or more; got {frames}")
            return frames - 1
        if self.context_frames + self.horizon_frames > frames:
            raise ValueError(
                f"context + horizon must be {frames} or less, the frames of a clip; "
                f"got {self.context_frames} + {self.horizon_frames}"
            )
        return self.horizon_frames

    def predict(self, model: Model, clips: np.ndarray) -> np.ndarray:
        """A model's predictions: clips uint8 (n, time, h, w) -> float32 (n, predicted_frames, h, w)."""
        frames = to_frames(clips)[..., None]
        if self.mode == "next-frame":
            predictions = model.next_frames(frames)
        else:
            predictions = model.rollout(frames[:, : self.context_frames], self.horizon_frames)
        return np.asarray(predictions, np.float32)[..., 0]

    def baselines(self, clips: np.ndarray, motion: Motion | None) -> dict[str, np.ndarray]:
        """Each baseline's predictions; those that follow the digits only where the motion is known."""
        context_horizon = (self.context_frames, self.horizon_frames)
        if self.mode == "next-frame":
            found = {"copy_last": baselines.copy_last(clips)}
            if motion is not None:
                places, stamps, velocities = motion
                found["constant_velocity"] = baselines.constant_velocity(places, stamps)
                found["bounce_oracle"] = baselines.bounce_oracle(places, velocities, stamps)
        else:
            found = {"copy_last": baselines.copy_last_rollout(clips, *context_horizon)}
            if motion is not None:
                places, stamps, velocities = motion
                found["constant_velocity"] = baselines.constant_velocity_rollout(
                    places, stamps, *context_horizon
                )
                found["bounce_oracle"] = baselines.bounce_oracle_rollout(
                    places, velocities, stamps, *context_horizon
                )
        return found


class _Tally:
    """Per-step means of one predictor's metrics, gathered slice by slice."""

    def __init__(self, lpips: FrameMetric | None) -> None:
        self.lpips = lpips
        self.sums: dict[str, np.ndarray] = {}
        # sum and number of frames of each step: a frame without ink has no ratio, and does not count
        self.physics: dict[str, np.ndarray] = {}
        # sums over the sequences of each one's mean, and of its square
        self.spread: dict[str, np.ndarray] = {}
        self.sequences = 0

    def add(self, truth: np.ndarray, predictions: np.ndarray) -> None:
        scores = {**metrics.per_frame(truth, predictions), **metrics.openstl(truth, predictions)}
        if self.lpips is not None:
            scores["lpips"] = self.lpips(truth, np.clip(predictions, 0.0, 1.0))
        for name, values in scores.items():
            self.sums[name] = self.sums.get(name, np.zeros(values.shape[1])) + values.sum(axis=0)
            means = values.mean(axis=1, dtype=np.float64)
            self.spread[name] = self.spread.get(name, np.zeros(2)) + np.array([means.sum(), (means**2).sum()])
        for name, values in physics.per_frame(truth, predictions).items():
            part = np.stack([np.nansum(values, axis=0), np.sum(~np.isnan(values), axis=0)])
            self.physics[name] = self.physics.get(name, np.zeros(part.shape)) + part
        self.sequences += len(truth)

    def per_step(self) -> dict[str, np.ndarray]:
        return {name: sums / self.sequences for name, sums in self.sums.items()}

    def standard_errors(self) -> dict[str, float | None]:
        """Of each mean, as the sequences differ; None of a single one."""
        n = self.sequences
        if n == 1:
            return dict.fromkeys(self.spread)
        return {
            name: math.sqrt(max(squares - total**2 / n, 0) / (n - 1) / n)
            for name, (total, squares) in self.spread.items()
        }

    def physics_scores(self) -> tuple[dict[str, float | None], dict[str, list[float | None]]]:
        """Means of the physics figures, over all and by step; None where no frame has one."""

        def mean(total: float, frames: float) -> float | None:
            return float(total / frames) if frames else None

        return (
            {name: mean(*part.sum(axis=1)) for name, part in self.physics.items()},
            {name: [mean(*step) for step in part.T] for name, part in self.physics.items()},
        )


def _scores(tally: _Tally, copied_mse: np.ndarray, *, without_first: bool) -> dict[str, Any]:
    """The figures of one predictor, as they go into the report; `copied_mse` is copy-last's by step."""
    mine = tally.per_step()

    def figures(steps: slice) -> dict[str, float | None]:
        means = metrics.summary({name: values[steps] for name, values in mine.items()})
        skill = metrics.skill(means["mse"], float(copied_mse[steps].mean()))
        return {**means, "skill": None if math.isnan(skill) else skill}  # JSON has no NaN

    scores: dict[str, Any] = figures(slice(None))
    scores["physics"], physics_by_step = tally.physics_scores()
    scores["per_step"] = {name: values.tolist() for name, values in mine.items()} | physics_by_step
    if without_first:
        scores["without_first_prediction"] = figures(slice(1, None))
    return scores


def evaluate(
    model: Model,
    clip_set: ClipSet,
    task: Task,
    sequences: int,
    *,
    on_slice: Callable[[np.ndarray, np.ndarray], None] | None = None,
    progress: Callable[[int], None] | None = None,
    lpips: FrameMetric | None = None,
    known_baselines: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Score a model and the baselines on the first sequences of a set.

    Parameters
    ----------
    model : has `next_frames`, `rollout`, `name`, `device` and `causal`, see `core.inference.Predictor`
    clip_set : where the clips come from
    task : what is predicted of each
    sequences : how many, 1 to all of the set's
    on_slice : called with truth and predictions of each slice, float32 (n, predicted_frames, h, w), in order
    progress : called with the number of sequences done so far
    lpips : perceptual distance of each frame, `core.lpips.lpips`; None leaves it out
    known_baselines : `baselines` of a report of another model on the very same clips and task, which do not
        depend on the model; None measures them

    Returns
    -------
    dict
        JSON-ready: `model, mode, sequences, frames` (of a clip), `predicted_frames, psnr` (dB, mean over
        frames), `ssim, mse, mae` (mean over pixels), `mse_sum, mae_sum` (summed over the pixels of a frame),
        `psnr_of_mean_mse`, `skill`, `mse_openstl, mae_openstl, ssim_openstl` (see `core.metrics.openstl`),
        `lpips` where asked for, `physics` (`centroid_px`, `mass_ratio`, `sharpness_ratio`, see
        `core.physics`; None where no true frame has ink), `per_step` (lists of all of these, one value a
        predicted frame) and `first_target` (index in
        the clip, from 0, of the frame that the first value is of), for next-frame the same without the first
        prediction, `standard_error` (of each mean over all predictions, as the sequences differ; None of a
        single one), `causal` (False: its predictions have seen the frames that they are of, and its scores
        mean nothing), `baselines` with the same figures for each, `seconds` and `frames_per_second` of the
        model's work, and `device`.
    """
    if not 1 <= sequences <= clip_set.sequences:
        raise ValueError(f"sequences must be 1 to {clip_set.sequences}, all of the set's; got {sequences}")
    predicted_frames = task.predicted_frames(clip_set.frames)
    tallies: dict[str, _Tally] = {"model": _Tally(lpips)}
    seconds, warm = 0.0, set[int]()
    for start in range(0, sequences, SLICE_SEQUENCES):
        stop = min(start + SLICE_SEQUENCES, sequences)
        clips = clip_set.clips(start, stop)
        if len(clips) not in warm:
            warm.add(len(clips))
            task.predict(model, clips)  # JAX compiles for each number of clips; the rate is of a warm model
        began = time.perf_counter()
        predictions = task.predict(model, clips)
        seconds += time.perf_counter() - began
        truth = metrics.align(clips, predictions, task.first_target)
        tallies["model"].add(truth, predictions)
        if known_baselines is None:
            for name, baseline in task.baselines(clips, clip_set.motion(start, stop)).items():
                tallies.setdefault(name, _Tally(lpips)).add(truth, baseline)
        if on_slice is not None:
            on_slice(truth, predictions)
        if progress is not None:
            progress(stop)

    without_first = task.mode == "next-frame" and predicted_frames > 1
    if known_baselines is None:
        copied_mse = tallies["copy_last"].per_step()["mse"]
    else:
        copied_mse = np.array(known_baselines["copy_last"]["per_step"]["mse"])
    standard_errors = tallies["model"].standard_errors()
    scores = {
        name: _scores(tally, copied_mse, without_first=without_first) for name, tally in tallies.items()
    }
    rollout = (
        {"context": task.context_frames, "horizon": task.horizon_frames} if task.mode == "rollout" else {}
    )
    return {
        "model": model.name,
        "causal": model.causal,
        "data": clip_set.name,
        "mode": task.mode,
        **rollout,
        "sequences": sequences,
        "frames": clip_set.frames,
        "predicted_frames": predicted_frames,
        "first_target": task.first_target,
        **scores.pop("model"),
        "standard_error": standard_errors,
        "baselines": scores if known_baselines is None else known_baselines,
        "seconds": seconds,
        "frames_per_second": sequences * predicted_frames / seconds,
        "device": model.device,
    }
