"""What a training run does: its settings, checked and as JSON, and its schedules. No Keras."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from core.damage import read_json, shortened, shown
from core.loss_weights import DEFAULT_WEIGHTS, VGG16_LAYERS, checked_weights
from core.model_config import CONFIGS, ModelConfig
from core.moving_mnist import STANDARD_SHARE, VARIED_MAX_DIGITS
from core.scenes import MAX_FRAMES, MIN_FRAMES

PRECISIONS = ("auto", "float32", "mixed_bfloat16")
SCHEDULES = ("cosine", "one-cycle", "constant")
LEARN = ("all", "network", "forecast", "trust", "foresight")
OPTIMIZERS = ("adam", "muon")
WARM_UP_SHARE = 10  # a warm-up takes at most one in so many steps of a plan
FINAL_RATE = 0.01  # of the peak: where the cosine ends
ONE_CYCLE_START, ONE_CYCLE_END, ONE_CYCLE_RISE = 1 / 25, 1e-4, 0.3  # of the peak, of the peak, of the plan
DEFAULT_EPOCHS = 20
BEGINNINGS = ("init_from", "average_with", "forecast_from")  # settings that name models a run begins with
# Settings that are whole numbers: the smallest, and the largest where there is one.
_WHOLE_NUMBERS: dict[str, tuple[int, int | None]] = {
    "epochs": (1, None),
    "steps_per_epoch": (1, None),
    "batch_size": (1, None),
    "frames": (MIN_FRAMES, MAX_FRAMES),
    "warmup_steps": (0, None),
    "context_frames": (1, None),
    "patience": (1, None),
    "validation_clips": (1, None),
    "seed": (0, 2**32 - 1),  # what NumPy's and TensorFlow's own generators take
}
# Settings that are any number of a range: the range in words, and whether a value is in it.
_NUMBERS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "minutes": ("above 0", lambda value: value > 0),
    "plan_from_minutes": ("0 or more", lambda value: value >= 0),
    "learning_rate": ("above 0", lambda value: value > 0),
    "clip_norm": ("above 0", lambda value: value > 0),
    "gdl_alpha": ("1 or more", lambda value: value >= 1),
    "ema": ("0 or more and below 1", lambda value: 0 <= value < 1),
    "rollout": ("0 to 1", lambda value: 0 <= value <= 1),
    "standard_share": ("0 to 1", lambda value: 0 <= value <= 1),
}
VALIDATION_FRAMES = 20


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a run; saved as `config.json` in its folder.

    A run has a plan, in epochs or in minutes; learning rate and rollout share follow how much of it is done.

    Attributes
    ----------
    model : the network
    epochs : epochs of `steps_per_epoch` steps that the plan has, counted from the run's first step
    minutes : minutes of training that the plan has, where epochs is None
    plan_from_minutes : the run's minutes at which a plan in minutes began: above 0 where a finished run
        was given a new one
    batch_size, frames : clips a step and frames a clip, 2 to 200; the network predicts frames 2 to `frames`
    digits : None for a mixture of standard clips and varied ones (1 to 3 digits at 0 to 7 px a frame), else
        every clip has this many digits, at standard speed
    standard_share : of the mixture, 0 to 1
    optimizer : "adam", or "muon" for the kernels of the ConvLSTM layers, see `core.optimizers`
    learning_rate, schedule, warmup_steps : the peak and the shape, see `learning_rate_at`
    clip_norm : gradients are scaled down to this global norm
    loss : weight of each part of the loss
    gdl_alpha : exponent of the gradient difference, 1 or more
    perceptual_layer : of VGG16, whose features the perceptual part compares
    ema : momentum of the moving average of the weights that is scored and kept as the best; 0 is without
    rollout : share of the clips, at the end of the rise, whose frames after `context_frames` are the
        network's own predictions; 0 is teacher forcing throughout
    rollout_rise : shares of the plan at which the rise begins and ends
    context_frames : true frames at the start of such a clip
    learn : "all"; or "network": what predicts known clips without a forecast's say in them, which saves most
        of its time; "forecast": nothing but a network's forecast after `context_frames`, in a small part of
        the time of a rollout; with rollouts also how much it is trusted in these; "trust": how much it is
        trusted in rollouts; or "foresight": how much in known clips, from frames of 600 clips that are
        predicted once, see `core.foresight`. All else stays as it is
    precision : "float32", "mixed_bfloat16" or "auto": bfloat16 where the hardware multiplies it
    patience : stop after this many epochs without a better validation PSNR; None: never
    validation_clips : clips of 20 frames, of digits that training never sees, scored after each epoch
    init_from : model (a shipped one's name, or a folder) whose weights the run starts from; one with fewer
        filters grows, see `core.growth`; None: random
    average_with : a second model of the same architecture; the run starts from the mean of both weights
        (Wortsman et al. 2022). Where it was learned from those of init_from, for another loss, that is a
        network between the two
    forecast_from : model whose forecast the run starts with, instead of its own: what a forecast is made of
        does not depend on the network; only how much it is trusted does, and that is learned anew
    seed : of weights and data, 0 to 2**32 - 1
    """

    model: ModelConfig
    epochs: int | None = None
    minutes: float | None = None
    plan_from_minutes: float = 0.0
    steps_per_epoch: int = 250
    batch_size: int = 4
    frames: int = 10
    digits: int | None = None
    standard_share: float = STANDARD_SHARE
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup_steps: int = 50
    clip_norm: float = 1.0
    loss: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    gdl_alpha: float = 1.0
    perceptual_layer: str = VGG16_LAYERS[-1]
    ema: float = 0.99
    rollout: float = 0.0
    rollout_rise: tuple[float, float] = (0.1, 0.7)
    context_frames: int = 5
    learn: str = "all"
    precision: str = "auto"
    patience: int | None = None
    validation_clips: int = 32
    init_from: str | None = None
    average_with: str | None = None
    forecast_from: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _WHOLE_NUMBERS.items():
            value = getattr(self, name)
            if value is None and name in ("epochs", "patience"):
                continue
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or value < low or (high is not None and value > high):
                limit = f"{low} or more" if high is None else f"{low} to {high}"
                raise ValueError(f"{_words(name)} must be a whole number, {limit}; got {shown(value)}")
        for name, (limit, within) in _NUMBERS.items():
            value = getattr(self, name)
            open_end = name == "minutes" and value is None
            if not open_end and not (_is_number(value) and within(value)):
                raise ValueError(f"{_words(name)} must be {limit}; got {shown(value)}")
        if self.epochs is not None and self.minutes is not None:
            raise ValueError("a plan is made in epochs or in minutes; got both")
        self._check_choices()
        object.__setattr__(self, "loss", checked_weights(self.loss))

    @property
    def forecasts_alone(self) -> bool:
        """Whether a clip goes through the forecast only, and not through the whole network."""
        return self.learn == "forecast" and self.rollout == 0

    @property
    def tested_after(self) -> int | None:
        """True frames after which validation is on its own, see `core.scorer.Scorer`; None: never."""
        alone = self.rollout > 0 or self.forecasts_alone
        return min(self.context_frames, VALIDATION_FRAMES - 2) if alone else None

    @property
    def validation(self) -> str:
        """What validation scores are of; those of different kinds do not compare."""
        if self.tested_after is None:
            return "next-frame, without a forecast" if self.learn == "network" else "next-frame"
        made = "the forecast alone" if self.forecasts_alone else "rollouts"
        return f"{made} after {self.tested_after} frames"

    @property
    def judged_by(self) -> dict[str, str | float | None]:
        """What the best epoch is chosen by: what is scored, of clips of which kinds, and of how many."""
        return {
            "kind of validation": self.validation,
            "digits": self.digits,
            "standard share": self.standard_share,
            "validation clips": self.validation_clips,
        }

    def _check_choices(self) -> None:
        choices_of = {
            "precision": PRECISIONS,
            "optimizer": OPTIMIZERS,
            "schedule": SCHEDULES,
            "learn": LEARN,
            "perceptual_layer": VGG16_LAYERS,
        }
        for name, choices in choices_of.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{_words(name)} must be one of {', '.join(choices)}; got {shown(getattr(self, name))}"
                )
        if self.digits is not None and not (
            type(self.digits) is int and 1 <= self.digits <= VARIED_MAX_DIGITS
        ):
            raise ValueError(f"digits must be 1 to {VARIED_MAX_DIGITS}; got {shown(self.digits)}")
        if self.digits is not None and self.standard_share != STANDARD_SHARE:
            raise ValueError(
                f"standard share must be left out where digits is {self.digits} and not mixed; "
                f"got {self.standard_share}"
            )
        rise = self.rollout_rise
        if (
            not isinstance(rise, tuple)
            or len(rise) != 2
            or not all(_is_number(share) for share in rise)
            or not 0 <= rise[0] <= rise[1] <= 1
        ):
            raise ValueError(
                f"rollout rise must be two shares of the plan, 0 to 1 and rising; got {shown(rise)}"
            )
        self._check_learning()
        if self.rollout > 0 and self.frames < 3:
            raise ValueError(
                f"frames must be 3 or more, so that predictions can be fed back; got {self.frames}"
            )
        if (self.rollout > 0 or self.learn == "forecast") and self.context_frames >= self.frames - 1:
            raise ValueError(
                f"context frames must be {self.frames - 2} or less, so that a clip of {self.frames} frames "
                f"has predictions to feed back; got {self.context_frames}"
            )
        for name in BEGINNINGS:
            model = getattr(self, name)
            if model is not None and not isinstance(model, str):
                raise ValueError(f"{_words(name)} must be a model's name or folder; got {shown(model)}")
        if self.average_with is not None and self.init_from is None:
            raise ValueError("average with needs a model to begin from; init from must be given, too")
        if self.forecast_from is not None and not self.model.forecast:
            raise ValueError(
                f"{self.model.name} has no forecast to begin with; forecast from must be left out"
            )

    def _check_learning(self) -> None:
        if self.rollout > 0 and self.model.head == "leaky":
            raise ValueError(
                f"rollout must be 0 with {self.model.name}, whose leaky head cannot learn from its own "
                f"predictions; got {self.rollout}"
            )
        if self.learn in ("forecast", "trust") and not self.model.forecast:
            raise ValueError(f"{self.model.name} has no forecast to learn; learn must be all")
        if self.learn == "trust" and self.rollout == 0:
            raise ValueError("rollout must be above 0 where the trust in rollouts is learned; got 0")
        known = self.learn in ("network", "foresight")  # both learn from clips that are known throughout
        if known and not self.model.foresees:
            raise ValueError(f"{self.model.name} does not foresee; learn must be all or forecast")
        if known and self.rollout > 0:
            raise ValueError(f"rollout must be 0 where learn is {self.learn}; got {self.rollout}")
        if self.learn == "foresight" and self.digits is not None:
            raise ValueError(f"digits must be left out where foresight is learned; got {self.digits}")
        if self.learn == "foresight" and self.standard_share != STANDARD_SHARE:
            raise ValueError(
                f"standard share must be left out where foresight is learned; got {self.standard_share}"
            )

    @property
    def total_steps(self) -> int | None:
        """Steps of a plan in epochs; None for a plan in minutes."""
        return None if self.epochs is None else self.epochs * self.steps_per_epoch

    def progress(self, step: int, minutes: float) -> float:
        """How much of the plan is done, 0 to 1.

        Parameters
        ----------
        step, minutes : of the whole run, earlier calls included
        """
        if self.total_steps is not None:
            return min(step / self.total_steps, 1.0)
        if self.minutes is None:
            raise ValueError("the run has no plan: say epochs or minutes")
        return min(max((minutes - self.plan_from_minutes) / self.minutes, 0.0), 1.0)

    def to_json(self) -> str:
        """Indented JSON that `from_json` reads back to an equal configuration."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read a configuration; ValueError with one sentence when it is not one."""
        data = read_json(text)
        names = {item.name for item in fields(cls)}
        if not isinstance(data, dict) or "model" not in data:
            raise ValueError("a training configuration is a JSON object with a model")
        if not set(data) <= names:
            odd = ", ".join(sorted(set(data) - names))
            raise ValueError(
                f"a training configuration has no {shortened(odd)}; it has {', '.join(sorted(names))}"
            )
        model = ModelConfig.from_json(json.dumps(data["model"]))
        rise = data.get("rollout_rise", [0.1, 0.7])
        if not isinstance(rise, list) or not isinstance(data.get("loss", {}), dict):
            raise ValueError("rollout_rise of a training configuration is a list, loss an object")
        return cls(**{**data, "model": model, "rollout_rise": tuple(rise)})


def _words(name: str) -> str:
    return name.replace("_", " ")


def _is_number(value: Any) -> bool:
    # a whole number of JSON may be larger than any float
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )


# What differs from TrainConfig's defaults: clips at full resolution cost eight times as much; a class has
# three minutes, one digit, and wants to see a change every few seconds.
_CHANGES: dict[str, dict[str, Any]] = {
    "reference": {"batch_size": 2, "validation_clips": 8},
    "leaky": {"batch_size": 2, "validation_clips": 8, "loss": {"bce": 1.0}},
    "fast": {"loss": {"bce": 1.0}},
    "best": {"loss": {"bce": 1.0}},
    "lesson": {"loss": {"bce": 1.0}, "learning_rate": 3e-3},
    "classroom": {
        "loss": {"bce": 1.0},
        "digits": 1,
        "steps_per_epoch": 50,
        "validation_clips": 8,
        "learning_rate": 3e-3,
        "minutes": 2.5,
    },
}


def default_config(model: str, **changes: Any) -> TrainConfig:
    """The configuration that a model is trained with, with changes.

    Raises
    ------
    ValueError
        If there is no such model, or a change is out of range.
    """
    if model not in CONFIGS:
        raise ValueError(f"model must be one of {', '.join(CONFIGS)}; got {shown(model)}")
    settings = {**_CHANGES.get(model, {}), **changes}
    if settings.get("epochs") is not None:
        settings.pop("minutes", None) if "minutes" not in changes else None
    return TrainConfig(CONFIGS[model], **settings)


def learning_rate_at(config: TrainConfig, step: int, progress: float) -> float:
    """The learning rate of a step.

    "cosine": linear warm-up over `warmup_steps` (in a plan in epochs over a tenth of it at most), times a
    cosine over the plan from the peak to 1% of it. "one-cycle" (Smith and Topin 2018): a cosine from 1/25 of
    the peak up to it over 30% of the plan, then a cosine down to 1/10,000. "constant": the warm-up, then the
    peak.

    Parameters
    ----------
    step : of the run, from 0
    progress : how much of the plan is done, 0 to 1
    """
    done = min(max(progress, 0.0), 1.0)
    if config.schedule == "one-cycle":
        if done < ONE_CYCLE_RISE:
            return config.learning_rate * _cosine(ONE_CYCLE_START, 1.0, done / ONE_CYCLE_RISE)
        fallen = (done - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE)
        return config.learning_rate * _cosine(1.0, ONE_CYCLE_END, fallen)
    rising = config.warmup_steps
    if config.total_steps is not None:  # a short plan has a short warm-up
        rising = min(rising, config.total_steps // WARM_UP_SHARE)
    warmup = min(1.0, (step + 1) / max(rising, 1))
    if config.schedule == "constant":
        return config.learning_rate * warmup
    return config.learning_rate * warmup * _cosine(1.0, FINAL_RATE, done)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def rollout_share_at(config: TrainConfig, progress: float) -> float:
    """Share of the clips that run on the network's own predictions: rises linearly over `rollout_rise`."""
    begin, end = config.rollout_rise
    if progress >= end:
        return config.rollout
    return config.rollout * (progress - begin) / (end - begin) if progress > begin else 0.0
