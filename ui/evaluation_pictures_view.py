"""Sections of the evaluation page that show errors in pictures: the blur, the leak, the worst clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from core.outputs import png_bytes
from ui import evaluation_charts as charts
from ui import evaluation_parts as parts
from ui import results
from ui.player import Panel, clip_player

SHOWN_PX = 136  # width of a picture of 64 px in the galleries: three pairs fill a row


# -------------------------------------------------------------------------------------------- the blur lesson


def blur() -> None:
    """The section: one network, trained with several losses."""
    parts.begin(
        "The blur lesson",
        "The same small network, data and steps; only the loss differs. Squared error is content with a "
        "blur, because a blur is never very wrong. Edge and feature losses ask for sharp pictures; sharpness "
        "and LPIPS below tell which of them got any.",
    )
    found = results.blur()
    if found is None:
        parts.empty("blur")
        return
    data, truth, predictions = found
    panels = [Panel("blur_truth", "Truth", frames=truth)]
    panels += [
        Panel(model["name"], short_loss(model["name"]), _what_added(model["name"]), frames, 1, "no frame yet")
        for model, frames in zip(data["models"], predictions, strict=True)
    ]
    clip_player(panels, key="blur_player")
    columns = {
        "name": "Loss", "lpips": "LPIPS", "sharpness_ratio": "Sharpness", "psnr": "PSNR", "ssim": "SSIM",
        "mse_sum": "MSE", "mass_ratio": "Ink", "centroid_px": "Misplaced, px",
    }  # fmt: skip
    st.dataframe(
        {
            title: [full_loss(model["name"]) if key == "name" else model.get(key) for model in data["models"]]
            for key, title in columns.items()
        },
        hide_index=True,
        column_config={
            title: st.column_config.NumberColumn(format="%.1f" if title in ("PSNR", "MSE") else "%.3f")
            for key, title in columns.items()
            if key != "name"
        },
        alt="; ".join(
            f"{m['title']}: LPIPS {m['lpips']:.3f}, sharpness {m['sharpness_ratio']:.2f}"
            for m in data["models"]
        ),
    )
    parts.end(
        "**MSE** is the squared error, **BCE** cross entropy, **GDL** the gradient difference, **VGG** the "
        f"perceptual distance. {data.get('sequences', 'Some')} clips of the standard set, next-frame. "
        "**LPIPS**: distance of features of a network that knows photographs; lower is better, and it minds "
        "a blur as an eye does. **Sharpness**: 1 is as sharp as the truth.",
        [{k: v for k, v in model.items() if k != "loss"} for model in data["models"]],
        "blur",
    )


# What each part of a loss compares, in the words of the picture below which it stands.
_COMPARED = {
    "mse": "Loss: squared error of each pixel.",
    "bce": "Loss: cross entropy of each pixel.",
    "gdl": "The same, and edges (gradient difference).",
    "vgg": "The same, and what a network for photographs sees.",
}


def _what_added(name: str) -> str:
    return _COMPARED.get(name.rpartition("+")[2], "")


def full_loss(name: str) -> str:
    """All parts of a loss: "bce+gdl" is "BCE + GDL"."""
    return " + ".join(name.upper().split("+"))


def short_loss(name: str) -> str:
    """What a loss adds, short enough for five pictures side by side on a phone: "bce+gdl" is "+GDL"."""
    return ("+" if "+" in name else "") + name.rpartition("+")[2].upper()


# --------------------------------------------------------------------------------------------------- the leak


def leak() -> None:
    """The section: what a network does that reads the frame it is to predict."""
    parts.begin(
        "The leak",
        "Change one pixel of one frame. An honest prediction made **before** that frame cannot move. The "
        "leaky one does: it has read the frame that it pretends to foresee.",
    )
    found = results.leak()
    if found is None:
        parts.empty("leak")
        return
    data, arrays = found
    changed = data["changed_frame"]
    row, column = data["changed_pixel"]
    said = charts.moved_before(data["models"], changed)
    charts.plot(
        charts.leak_bars(data["models"], changed), f"Largest change in each prediction. {said}.", "leak_chart"
    )
    st.caption(
        f"Frame {changed + 1} was changed at row {row + 1}, column {column + 1}. Left of the dashed "
        f"line nothing may move; {said}."
    )
    for model in data["models"]:
        kind = "honest" if model["causal"] else "leaks"
        st.markdown(
            f"**{model['name']}** ({kind}), the prediction of frame {changed + 1}: {model['psnr']:.1f} dB"
        )
        _before_after(model["name"], arrays, changed - 1)
    st.markdown(
        "**Why its score means nothing.** The last convolution of the architecture as it is often published "
        "is centred in time: its output at each step also reads the next frame, the very one it is scored "
        "on. Copying that frame beats even the limit, on the test set as well; but live there is no next "
        "frame to copy, and the last prediction of a clip shows it."
    )
    parts.end(
        "The same clip is predicted twice, with and without the change. The bars are the largest "
        "difference of any pixel (black 0, white 1); a 0 means not a single bit moved in any model.",
        [
            {"model": m["name"], "frame": index + 2, "max_change": change}
            for m in data["models"]
            for index, change in enumerate(m["max_change"])
        ],
        "leak",
    )


def _before_after(name: str, arrays: Mapping[str, np.ndarray], index: int) -> None:
    before = np.asarray(arrays[f"{name}_before"][index], np.float32)
    after = np.asarray(arrays[f"{name}_after"][index], np.float32)
    apart = np.abs(after - before)
    largest = float(apart.max())
    # stretched to full white: a change of a hundredth would not be seen
    difference = apart / largest if largest else apart
    label = f"Difference, × {1 / largest:.3g}" if largest else "Difference: none"
    with st.container(horizontal=True, gap="small"):
        for title, picture in (("Before", before), ("After", after), (label, difference)):
            _picture(np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8), title, f"{title}, {name}", 112)


def _picture(pixels: np.ndarray, caption: str, alt: str, width: int) -> None:
    large = pixels.repeat(4, axis=0).repeat(4, axis=1)  # a browser would blur the small one
    with st.container(width=width):
        st.image(png_bytes(large), caption=caption or None, width=width, alt=alt)


# -------------------------------------------------------------------------------------------------- the worst


def worst() -> None:
    """The section: where a network fails most."""
    parts.begin(
        "The worst clips",
        "Ten clips that the network predicts worst of all, most squared error first, at their worst moment: "
        "truth left, prediction right. The first prediction of a clip does not count: from one frame nobody "
        "can tell where a digit heads.",
    )
    models = results.worst_models()
    if not models:
        parts.empty("worst")
        return
    model = parts.choose_model(models, "worst_model")
    found = results.worst(model)
    if found is None:
        parts.empty("worst")
        return
    data, truth, predictions = found
    clips = data["clips"]
    chosen = st.selectbox(
        "Play one", range(len(clips)), key="worst_clip",
        format_func=lambda place: f"{place + 1}: clip {clips[place]['index']}, "
        f"error {clips[place]['mse_sum']:.0f}",
        help="Plays one of the ten, from its first frame to its last.",
    )  # fmt: skip
    clip_player(
        [
            Panel("worst_truth", "Truth", frames=truth[chosen]),
            Panel("worst_made", "Prediction", frames=predictions[chosen], first=1, waiting="no frame yet"),
            Panel("worst_error", "Error", difference=("worst_made", "worst_truth"), first=1),
        ],
        key="worst_player",
    )
    with st.container(horizontal=True):
        for place, clip in enumerate(clips):
            with st.container(width=2 * SHOWN_PX):
                _worst_pair(place, clip, truth[place], predictions[place])
    parts.end(
        f"Of {data.get('sequences', 'all')} clips, those with the largest mean squared error, next-frame, "
        "summed over the pixels of a frame; without the first prediction. The sentence below each names in "
        "what the clip is unlike the others.",
        clips,
        f"worst-{model}",
    )


def _worst_pair(place: int, clip: Mapping[str, Any], truth: np.ndarray, prediction: np.ndarray) -> None:
    step = clip["step_of_worst"]
    if not 0 <= step < len(prediction):
        raise results.ResultError(f"step_of_worst must be 0 to {len(prediction) - 1}; got {step}")
    gap = np.full((truth.shape[1], 2), 128, np.uint8)
    pair = np.hstack([truth[step + 1], gap, prediction[step]])
    _picture(
        pair,
        f"{place + 1}. Error {clip['mse_sum']:.0f}, at frame {step + 2}. {clip['why']}",
        f"Clip {clip['index']}, frame {step + 2}: truth and prediction.",
        2 * SHOWN_PX - 20,
    )
