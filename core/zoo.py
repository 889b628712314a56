"""The shipped models and where they lie. Keras is imported only when a model is loaded.

A model folder holds `model.json` (its `ModelConfig`), `weights.npz` and, when shipped, `card.json`.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.damage import read_json, shown
from core.model_config import ModelConfig
from core.model_shapes import variable_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.inference import Predictor

# One small network, trained with four losses: compared on the page Measure it, not offered for predictions.
LESSON_MODELS = ("mse", "bce", "bce+gdl", "bce+gdl+vgg")
FOLDER = Path(__file__).resolve().parent.parent / "assets" / "models"


class ModelError(RuntimeError):
    """A model that is unknown or damaged; one sentence says which and why."""


def model_names() -> list[str]:
    """Names of the shipped models, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob("*/model.json"))


def model_folder(name_or_path: str | Path) -> Path:
    """The folder of a shipped model, or of a training run or model of one's own, or of its weights.npz.

    Raises
    ------
    ModelError
        If there is neither a shipped model nor a folder with a model of that name, or it cannot be read.
    """
    name = str(name_or_path)
    if name in model_names():
        return FOLDER / name
    folder = Path(name)
    try:
        if folder.name == "weights.npz" and folder.is_file():
            folder = folder.parent
        if name and (folder / "model.json").is_file():  # no name at all is not the present folder
            return folder
    except OSError as error:
        raise ModelError(f"model {shown(name)} cannot be read: {error.strerror}") from error
    raise ModelError(
        f"unknown model {shown(name)}; shipped are {', '.join(model_names()) or 'none'}, "
        "or give a folder with model.json and weights.npz"
    )


def is_causal(name_or_path: str | Path) -> bool:
    """Whether a model predicts from the past alone; False for one with the leaking head.

    Raises
    ------
    ModelError
        If the model is unknown or its configuration damaged.
    """
    return config_of(name_or_path).head == "causal"


def config_of(name_or_path: str | Path) -> ModelConfig:
    """What a model's network looks like.

    Raises
    ------
    ModelError
        If the model is unknown or its configuration damaged.
    """
    folder = model_folder(name_or_path)
    try:
        return ModelConfig.from_json((folder / "model.json").read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / 'model.json'} is damaged: {error}") from error


def weights_path(name_or_path: str | Path) -> Path:
    """Path of a model's weights file."""
    return model_folder(name_or_path) / "weights.npz"


def weights_checksum(name_or_path: str | Path) -> str:
    """SHA-256 of a model's weights file, in hexadecimal digits; OSError where it cannot be read."""
    return hashlib.sha256(weights_path(name_or_path).read_bytes()).hexdigest()


def card(name_or_path: str | Path) -> dict[str, Any]:
    """The model card: what the model is, what it was trained on, how long, and what it measures.

    Raises
    ------
    ModelError
        If the model is unknown or its card is missing or damaged.
    """
    path = model_folder(name_or_path) / "card.json"
    try:
        return read_json(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"model card {path} is missing or damaged ({type(error).__name__})") from error


def load(name_or_path: str | Path, precision: str = "auto", on_cpu: bool = False) -> Predictor:
    """Load a model to predict with.

    Parameters
    ----------
    name_or_path : a shipped model's name, or a folder
    precision : "float32", "mixed_bfloat16", or "auto": bfloat16 where the hardware multiplies it, which
        moves the PSNR of the shipped models by less than 0.01 dB
    on_cpu : leave a GPU alone, should there be one

    Raises
    ------
    ModelError
        If the model is unknown, or its configuration or weights are missing or damaged.
    ValueError
        If the precision is none of those.
    """
    folder = model_folder(name_or_path)
    from core.inference import Predictor
    from core.weights import WeightsError, load_with_checksum

    config, path = config_of(folder), folder / "weights.npz"
    try:
        arrays, weights_sha256 = load_with_checksum(path)
        # a network that is far too large is not built first, which might take all memory
        if _size(variable_shapes(config).values()) > _size(array.shape for array in arrays.values()):
            raise ModelError(f"{folder / 'model.json'} is of a larger network than {path} has weights of")
        predictor = Predictor.from_arrays(config, arrays, str(path), folder.name, precision, on_cpu)
    except WeightsError as error:
        raise ModelError(str(error)) from error
    predictor.weights_sha256 = weights_sha256
    return predictor


def _size(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(map(math.prod, shapes))
