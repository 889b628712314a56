"""The shipped result files: read, checked, kept until they change.

Every figure of the evaluation page comes from a file that a command wrote; nothing is measured here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.damage import read_json
from core.evaluation import MODES
from core.scenes import CANVAS
from core.weights import WeightsError, load_arrays

FOLDER_VARIABLE = "CONVLSTM_RESULTS"
SHIPPED = Path(__file__).resolve().parent.parent / "assets" / "results"
COMMAND = "python -m scripts.make_results"
LEAKING = ("leaky",)
_FIGURES = ("psnr", "psnr_of_mean_mse", "ssim", "mse_sum")
_CELL = (
    "speed_px",
    "digits",
    "psnr",
    "ssim",
    "mse_sum",
    "skill",
    "copy_last_mse_sum",
    "centroid_px",
    "scene",
)
_WORST = ("index", "mse_sum", "psnr", "copy_last_mse_sum", "step_of_worst", "why")


class ResultError(ValueError):
    """A result file that cannot be used; one sentence says which and why."""


def what_to_do(error: ResultError) -> str:
    """What is wrong with a result file, and which command makes it anew."""
    return f"A result file cannot be used: {error}. Make it anew with `{COMMAND}`."


def folder() -> Path:
    """Where the result files lie: the shipped ones, or those that `CONVLSTM_RESULTS` names."""
    return Path(os.environ.get(FOLDER_VARIABLE) or SHIPPED)


# ----------------------------------------------------------------------------------------------- files


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


@st.cache_data(max_entries=64, show_spinner=False)
def _json(path: str, stamp: tuple[int, int]) -> dict[str, Any]:
    name = Path(path).name
    try:
        data = read_json(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not text at all
        raise ResultError(f"{name} is not readable JSON ({error})") from error
    if not isinstance(data, dict):
        raise ResultError(f"{name} must hold a JSON object; got {type(data).__name__}")
    return data


@st.cache_data(max_entries=16, show_spinner=False)
def _arrays(path: str, stamp: tuple[int, int]) -> dict[str, np.ndarray]:
    try:
        return load_arrays(Path(path))
    except WeightsError as error:
        raise ResultError(f"{Path(path).name} is damaged ({type(error.__cause__).__name__})") from error


def read(name: str, fields: Mapping[str, type]) -> dict[str, Any] | None:
    """A result file as it is, or None where it was not made yet.

    Parameters
    ----------
    name : of the file, such as "blur.json"
    fields : what it must hold, and of which kind

    Raises
    ------
    ResultError
        If the file is there and cannot be used.
    """
    path = folder() / name
    if not path.is_file():
        return None
    data = _json(str(path), _stamp(path))
    for field, kind in fields.items():
        if not isinstance(data.get(field), kind):
            raise ResultError(f"{name} must hold {field!r} as {kind.__name__}; got {data.get(field)!r:.40}")
    return data


def arrays(name: str, shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, np.ndarray]:
    """Pictures beside a result file; None in a shape stands for any length.

    Raises
    ------
    ResultError
        If the file is missing, damaged, or holds other shapes.
    """
    path = folder() / name
    if not path.is_file():
        raise ResultError(f"{name} is missing beside its JSON file")
    found = _arrays(str(path), _stamp(path))
    for key, shape in shapes.items():
        got = found[key].shape if key in found else None
        if (
            got is None
            or len(got) != len(shape)
            or any(w not in (None, g) for g, w in zip(got, shape, strict=True))
        ):
            raise ResultError(f"{name} must hold {key!r} of shape {shape}; got {got}")
    return found


def _each(name: str, rows: Sequence[Any], fields: Sequence[str]) -> None:
    for number, row in enumerate(rows):
        missing = [field for field in fields if not isinstance(row, dict) or field not in row]
        if missing:
            raise ResultError(f"entry {number} of {name} lacks {', '.join(missing)}")


def _models_with(ending: str) -> list[str]:
    """Models that have a file of this ending, the best known first."""
    names = [path.name.removesuffix(ending) for path in folder().glob(f"*{ending}")]
    known = ("best", "fast", "reference")
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


# --------------------------------------------------------------------------------------------- results


def scores(mode: str) -> dict[str, dict[str, Any]]:
    """What `evaluate.py` measured of each model in a mode: name -> report, the best known model first."""
    if mode not in MODES:
        raise ValueError(f"mode must be {' or '.join(MODES)}; got {mode!r}")
    found = {}
    for model in _models_with(f".{mode}.json"):
        name = f"{model}.{mode}.json"
        report = read(name, {"per_step": dict, "baselines": dict, "first_target": int, "sequences": int})
        if report is None:
            continue  # taken away between listing and reading
        _each(name, [report, *report["baselines"].values()], (*_FIGURES, "per_step"))
        if "copy_last" not in report["baselines"]:
            raise ResultError(f"{name} lacks the baseline copy_last")
        found[model] = report
    return found


def observer() -> dict[str, Any] | None:
    """The ideal observer's figures: {"next_frame": ..., "rollout": ...}."""
    data = read("observer.json", {"next_frame": dict, "rollout": dict})
    if data is not None:
        _each("observer.json", [data["next_frame"], data["rollout"]], (*_FIGURES, "per_step", "first_target"))
    return data


def limit(mode: str) -> dict[str, Any] | None:
    """The ideal observer's figures in one mode."""
    data = observer()
    return None if data is None else data[mode.replace("-", "_")]


def maps() -> dict[str, dict[str, Any]]:
    """Generalisation maps by model."""
    found = {}
    for model in _models_with(".map.json"):
        name = f"{model}.map.json"
        data = read(name, {"speeds_px": list, "digits": list, "cells": list, "trained": dict})
        if data is None:
            continue
        _each(name, data["cells"], _CELL)
        _each(name, [data["trained"]], ("digits", "speed_px"))
        found[model] = data
    return found


def worst(model: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray] | None:
    """A model's worst clips: figures, truth uint8 (n, 20, 64, 64), predictions uint8 (n, 19, 64, 64)."""
    name = f"{model}.worst.json"
    data = read(name, {"clips": list})
    if data is None:
        return None
    _each(name, data["clips"], _WORST)
    n = len(data["clips"])
    shapes: dict[str, tuple[int | None, ...]] = {
        "truth": (n, None, CANVAS, CANVAS),
        "prediction": (n, None, CANVAS, CANVAS),
    }
    found = arrays(f"{model}.worst.npz", shapes)
    return data, found["truth"], found["prediction"]


def worst_models() -> list[str]:
    """Models whose worst clips were gathered."""
    return _models_with(".worst.json")


def blur() -> tuple[dict[str, Any], np.ndarray, np.ndarray] | None:
    """The blur lesson: figures, truth uint8 (20, 64, 64), predictions uint8 (models, 19, 64, 64)."""
    data = read("blur.json", {"models": list})
    if data is None:
        return None
    _each(
        "blur.json", data["models"], ("name", "title", "psnr", "ssim", "mse_sum", "lpips", "sharpness_ratio")
    )
    shapes: dict[str, tuple[int | None, ...]] = {
        "truth": (None, CANVAS, CANVAS),
        "predictions": (len(data["models"]), None, CANVAS, CANVAS),
    }
    found = arrays("blur.npz", shapes)
    return data, found["truth"], found["predictions"]


def leak() -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """The leak demonstration: figures, and pictures `truth`, `<model>_before`, `<model>_after`."""
    data = read("leak.json", {"models": list, "changed_frame": int, "changed_pixel": list})
    if data is None:
        return None
    _each("leak.json", data["models"], ("name", "causal", "max_change", "psnr"))
    shapes: dict[str, tuple[int | None, ...]] = {"truth": (None, CANVAS, CANVAS)}
    for model in data["models"]:
        for when in ("before", "after"):
            shapes[f"{model['name']}_{when}"] = (len(model["max_change"]), CANVAS, CANVAS)
    return data, arrays("leak.npz", shapes)


def tuning(model: str, layer: int) -> tuple[dict[str, Any], np.ndarray] | None:
    """How channels of a layer answer to motion: what was shown, and float (filters, speeds, directions)."""
    data = read(f"{model}.tuning.json", {"speeds_px": list, "directions_deg": list})
    if data is None:
        return None
    shape = (None, len(data["speeds_px"]), len(data["directions_deg"]))
    name = f"layer_{layer}"
    return data, arrays(f"{model}.tuning.npz", {name: shape})[name]


def published() -> list[dict[str, Any]]:
    """Published figures, each with its definition, source and year."""
    data = read("published.json", {"rows": list})
    if data is None:
        return []
    _each("published.json", data["rows"], ("model", "mode", "source"))
    return data["rows"]


# ------------------------------------------------------------------------------------------ leaderboard

_BASELINES = {
    "copy_last": "copy-last",
    "constant_velocity": "constant velocity",
    "bounce_oracle": "bounce oracle",
}


def title(name: str) -> str:
    """A baseline's name for people; a model keeps its own, but one that cheats is called so everywhere."""
    return f"{name} (sees the future)" if name in LEAKING else _BASELINES.get(name, name)


def leaderboard(mode: str) -> list[dict[str, Any]]:
    """Our models, the baselines, the limit and the published figures as rows of one table."""
    reports = scores(mode)
    rows, leaking = (
        [
            _row(kind, title(model), report, report)
            for model, report in reports.items()
            if (model in LEAKING) == (kind == "leaks")
        ]
        for kind in ("ours", "leaks")
    )
    if reports:  # the baselines do not depend on the model; take those of the largest set
        largest = max(reports.values(), key=lambda report: report["sequences"])
        rows += [
            _row("baseline", title(name), scored, largest) for name, scored in largest["baselines"].items()
        ]
    if (ideal := limit(mode)) is not None:
        rows.append(_row("limit", "ideal observer", ideal, observer() or {}))
    rows += leaking  # beyond the limit
    for cited in published():
        if cited["mode"] == mode:
            rows.append({"kind": "published", **{key: cited.get(key) for key in _CITED}, "command": None})
    return rows


_SCORES = ("psnr", "psnr_of_mean_mse", "ssim", "ssim_openstl", "mse_sum", "mae_sum", "lpips")
_CITED = ("model", *_SCORES, "definition", "source", "year")
_DEFINITION = (
    "MSE and MAE summed over the pixels of a frame, before clipping; PSNR and SSIM of clipped frames, means "
    "over frames"
)


def _row(kind: str, name: str, figures: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    sequences = made.get("sequences")
    year = str(made.get("date", ""))[:4]
    return {
        "kind": kind,
        "model": name,
        **{key: figures.get(key) for key in _SCORES},
        "definition": (f"{sequences:,} clips made here of MNIST test digits; " if sequences else "")
        + _DEFINITION,
        "source": "measured here",
        "year": int(year) if year.isdigit() else None,
        "command": made.get("made_by"),
    }
