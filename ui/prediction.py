"""A prediction of one scene with everything a page says about it. No Streamlit, no Keras."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core import baselines, metrics, zoo
from core.baselines import Baseline, Truth
from core.damage import read_json
from core.moving_mnist import render
from core.observer import predict_scene, predict_standard
from core.prediction_request import PredictionRequest, PredictionResult, predict_batch
from core.scenes import Scene
from core.weights import save_arrays
from ui.link import Mode, Settings, default_settings

if TYPE_CHECKING:
    from core.inference import Predictor

FIRST_PAINT = Path(__file__).resolve().parent.parent / "assets" / "first_paint.npz"
_SCORES = ("mse", "psnr", "ssim")
Source = Scene | int  # of a clip of which all is known: a scene, or its number in the standard set


@dataclass(frozen=True)
class Prediction:
    """Predicted frames beside the true ones.

    Attributes
    ----------
    clip : the true frames, uint8 (time, height, width)
    frames : predicted, float32 (n, height, width); `frames[k]` is of frame `first + k` of the clip
    scores, copy_scores : per frame `mse`, `psnr`, `ssim` of the model and of repeating the last frame, (n,);
        fewer where the clip ends before the prediction does
    seconds, device : of the model's work; None where it was done ahead
    note : what a person has to know about it, in a sentence; mostly nothing
    """

    clip: np.ndarray
    frames: np.ndarray
    first: int
    scores: dict[str, np.ndarray]
    copy_scores: dict[str, np.ndarray]
    seconds: float | None = None
    device: str | None = None
    note: str = ""

    @property
    def skill(self) -> float:
        """Share of the error of repeating the last frame that the model takes away; NaN if there is none."""
        if not len(self.scores["mse"]):
            return math.nan
        return metrics.skill(float(self.scores["mse"].mean()), float(self.copy_scores["mse"].mean()))


def shown_clip(scene: Scene, mode: Mode, context: int, horizon: int) -> np.ndarray:
    """The true frames that a prediction is set beside: all of them, or those of the rollout."""
    return _shown(render(scene), mode, context, horizon)


def measure(
    clip: np.ndarray, frames: np.ndarray, first: int, mode: Mode
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scores per frame of a prediction, and of copying the last frame in its place, as far as the clip is."""
    frames = frames[: len(clip) - first]
    if len(frames) == 0:
        return {name: np.zeros(0) for name in _SCORES}, {name: np.zeros(0) for name in _SCORES}
    truth = metrics.align(clip, frames, first_target=first)
    if mode == "next-frame":
        copied = baselines.copy_last(clip[None])[0]
    else:
        copied = baselines.copy_last_rollout(clip[None], first, len(frames))[0]
    model, copy = metrics.per_frame(truth, frames), metrics.per_frame(truth, copied)
    return {name: model[name] for name in _SCORES}, {name: copy[name] for name in _SCORES}


def predict(predictor: Predictor, scene: Scene, mode: Mode, context: int, horizon: int) -> Prediction:
    """Run the model on a scene and measure it."""
    return predict_clip(predictor, shown_clip(scene, mode, context, horizon), mode, context, horizon)


def measured(asked: PredictionRequest, made: PredictionResult) -> Prediction:
    """A prediction with its scores, as far as the clip goes."""
    first, clip = 1, asked.clip
    if asked.mode == "rollout":
        first, clip = asked.context, clip[: asked.context + asked.horizon]
    scores, copy_scores = measure(clip, made.frames, first, asked.mode)
    return Prediction(clip, made.frames, first, scores, copy_scores, made.seconds, made.device, made.note)


def predict_clip(
    predictor: Predictor, clip: np.ndarray, mode: Mode, context: int, horizon: int
) -> Prediction:
    """Run the model on a clip, uint8 (time, height, width), and measure it."""
    asked = PredictionRequest(clip, mode, context, horizon)
    return measured(asked, *predict_batch(predictor, [asked]))


@dataclass(frozen=True)
class Limit:
    """What the ideal observer makes of a clip: `frames` and `scores` as in a `Prediction`."""

    frames: np.ndarray
    scores: dict[str, np.ndarray]


def _known(source: Source) -> Truth:
    return Truth.of_scene(source) if isinstance(source, Scene) else Truth.of_standard(source)


def _shown(clip: np.ndarray, mode: Mode, context: int, horizon: int) -> np.ndarray:
    return clip if mode == "next-frame" else clip[: context + horizon]


def limit_of(source: Source, mode: Mode, context: int, horizon: int) -> Limit:
    """The ideal observer's prediction of a scene or a clip of the standard set, measured as a model's is.

    Raises
    ------
    ValueError
        If the scene is too long for it.
    """
    clip = _shown(_known(source).clip, mode, context, horizon)
    given = context if mode == "rollout" else 1
    next_frames, rollout = (
        predict_scene(source, context=given)
        if isinstance(source, Scene)
        else predict_standard(source, context=given)
    )
    frames, first = (next_frames, 1) if mode == "next-frame" else (rollout[:horizon], context)
    return Limit(frames, measure(clip, frames, first, mode)[0])


def baseline_of(name: Baseline, source: Source, mode: Mode, context: int, horizon: int) -> Prediction:
    """A baseline's prediction of a scene or a clip of the standard set, measured as a model's is; it took no
    time worth telling.
    """
    told = _known(source)
    clip = _shown(told.clip, mode, context, horizon)
    if mode == "next-frame":
        first, frames = 1, baselines.told_next_frames(name, told)
    else:
        first, frames = context, baselines.told_rollout(name, told, context, horizon)
    return Prediction(clip, frames, first, *measure(clip, frames, first, mode))


def copied(prediction: Prediction, mode: Mode) -> Prediction:
    """What one gets in a prediction's place who repeats the last frame."""
    clip, first = prediction.clip, prediction.first
    if mode == "next-frame":
        frames = baselines.copy_last(clip[None])[0]
    else:
        frames = baselines.copy_last_rollout(clip[None], first, len(prediction.frames))[0]
    return Prediction(clip, frames, first, prediction.copy_scores, prediction.copy_scores)


@dataclass(frozen=True)
class Beside:
    """What a model's prediction is shown beside: another model, a baseline, the limit.

    Attributes
    ----------
    kind, key : a model and its name; a baseline, one of `core.baselines.BASELINES`; or the limit
    title, caption : what a person reads above and below its picture
    frames, scores : as in a `Prediction`; None and empty where it is not there
    waiting : why it is not there, in a sentence
    """

    kind: Literal["model", "baseline", "limit"]
    key: str
    title: str
    caption: str
    frames: np.ndarray | None
    scores: dict[str, np.ndarray]
    waiting: str = ""


def verdict(prediction: Prediction) -> str:
    """What the numbers say, in one sentence (Markdown)."""
    if not len(prediction.scores["mse"]):
        return "**What comes next?** Your clip ends here, and the model goes on."
    skill = prediction.skill
    if math.isnan(skill):
        return "**Nothing moves here**, so repeating the last frame is already perfect."
    if skill >= 0.005:
        less = f"The model makes **{skill:.0%} less error** than someone who just repeats the last frame"
        alike = prediction.scores["ssim"].mean() >= prediction.copy_scores["ssim"].mean()
        return f"{less}." if alike else f"{less}, but its shapes match the truth less well (SSIM)."
    if skill > -0.005:
        return "The model does **no better** than someone who just repeats the last frame."
    return f"Here the model makes **{-skill:.0%} more error** than someone who just repeats the last frame."


# ---------------------------------------------------------------------------------------- first paint


def save_first_paint(prediction: Prediction, scene: Scene, model: str, path: Path = FIRST_PAINT) -> None:
    """Store the prediction that a fresh server shows while the model loads."""
    about = {"scene": scene.to_json(), "model": model, "weights": zoo.weights_checksum(model)}
    arrays: dict[str, Any] = {f"model_{name}": values for name, values in prediction.scores.items()}
    arrays |= {f"copy_{name}": values for name, values in prediction.copy_scores.items()}
    # half precision shows the same picture: a pixel has 256 steps
    arrays |= {"about": np.array(json.dumps(about)), "frames": prediction.frames.astype(np.float16)}
    save_arrays(path, arrays, compressed=True)  # at once, since servers read it


def stored_prediction(settings: Settings, path: Path = FIRST_PAINT) -> Prediction | None:
    """The stored prediction, if it is of these settings and of the very weights that are shipped."""
    if settings.mode != "next-frame" or settings.scene() != default_settings().scene():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            about = read_json(str(file["about"]))
            wanted = {"scene": settings.scene().to_json(), "model": settings.model}
            if {name: about[name] for name in wanted} != wanted:
                return None
            if about["weights"] != zoo.weights_checksum(settings.model):
                return None
            scores = {name: file[f"model_{name}"] for name in _SCORES}
            copy_scores = {name: file[f"copy_{name}"] for name in _SCORES}
            frames = file["frames"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zoo.ModelError):
        return None  # only a head start: without it the page waits for the model
    return Prediction(render(settings.scene()), frames, 1, scores, copy_scores)
