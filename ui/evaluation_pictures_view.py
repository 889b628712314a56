"""Sections of the evaluation page that show errors in pictures: the blur, the leak, the worst clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import streamlit as st

from core.outputs import png_bytes
from ui import evaluation_charts as charts
from ui import evaluation_parts as parts
from ui import own_clip, results, state
from ui.player import Panel, clip_player

# -------------------------------------------------------------------------------------------- the blur lesson


def blur() -> None:
    """The section: one network, trained with several losses."""
    parts.begin(
        "The blur lesson",
        "The same small network, data and steps; only the loss differs. Squared error is content with a "
        "blur, because a blur is never very wrong. Edge and feature losses ask for sharp pictures; "
        "sharpness and LPIPS below tell which of them got sharp ones. **Try it:** stop in the middle of the "
        "clip, and compare *MSE* with *BCE + GDL + VGG*; then look in which columns of the table they "
        "differ.",
    )
    found = results.blur()
    if found is None:
        parts.empty("blur")
        return
    data, truth, predictions = found
    panels = [Panel("blur_truth", "Truth", frames=truth)]
    panels += [
        Panel(model["name"], full_loss(model["name"]), _what_added(model["name"]), frames, 1, "no frame yet")
        for model, frames in zip(data["models"], predictions, strict=True)
    ]
    clip_player(panels, key="blur_player")
    columns = _blur_columns()
    st.dataframe(
        {
            key: [full_loss(model["name"]) if key == "name" else model.get(key) for model in data["models"]]
            for key in columns
        },
        hide_index=True,
        column_config=columns,
        alt="; ".join(
            f"{m['title']}: LPIPS {m['lpips']:.3f}, sharpness {m['sharpness_ratio']:.2f}"
            for m in data["models"]
        ),
    )
    st.caption(
        "Better is **nearer to 1** for sharpness and ink, **lower** for LPIPS, MSE and misplaced, "
        "**higher** for PSNR and SSIM."
    )
    parts.end(
        "**MSE** is the squared error, **BCE** cross entropy, **GDL** the gradient difference, **VGG** the "
        f"perceptual distance. {data.get('sequences', 'Some')} clips of the standard set, one frame ahead. "
        "**LPIPS**: distance of features of a network that knows photographs; it minds a blur as an eye "
        "does. **Sharpness**: the energy of the differences between neighbouring pixels against the "
        "truth's; 1 is as sharp as the truth. **Ink**: the sum of all pixels against the truth's; less than "
        "1 is too faint. **Misplaced**: how far the middle of the ink is from where it should be.",
        [{k: v for k, v in model.items() if k != "loss"} for model in data["models"]],
        "blur",
    )


def _blur_columns() -> dict[str, Any]:
    """What each column of the table is called; what tells a blur comes first."""
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "name": text(
            "Loss", pinned=True, help="What the network was told to make small, as above its picture."
        ),
        "sharpness_ratio": number(
            "Sharpness, predicted / true",
            format="%.3f",
            help="How strong the edges are. 1 is as sharp as the truth; less is a blur.",
        ),
        "lpips": number(
            "LPIPS", format="%.3f", help="Perceptual distance: minds a blur as an eye does. Lower is better."
        ),
        "mass_ratio": number(
            "Ink, predicted / true",
            format="%.3f",
            help="The sum of all pixels. 1 is as much as in the truth; less is too faint, more too bright.",
        ),
        "mse_sum": number(
            "MSE a frame",
            format="%.1f",
            help="Squared error, summed over the 4,096 pixels of a frame. Lower is better.",
        ),
        "psnr": number(
            "Mean PSNR, dB", format="%.1f", help="Each frame's PSNR, then the mean. Higher is better."
        ),
        "ssim": number("SSIM", format="%.3f", help="How alike the shapes are. Higher is better."),
        "centroid_px": number(
            "Misplaced, px",
            format="%.2f",
            help="How far the middle of the ink is from where it should be. Lower is better.",
        ),
    }


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


# --------------------------------------------------------------------------------------------------- the leak


def leak() -> None:
    """The section: what a network does that reads the frame it is to predict."""
    parts.begin(
        "The leak",
        "One pixel of one frame was changed. An honest prediction made **before** that frame cannot move. "
        "The leaky one does: it has read the frame that it pretends to foresee. **Try it:** on *Look "
        "inside*, *Leak* lets you change a frame of your own clip.",
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
    clips = f"{data['sequences']:,} clips" if "sequences" in data else "clips"
    for model in data["models"]:
        kind = "honest" if model["causal"] else "leaks"
        st.markdown(
            f"**{parts.short_name_of(model['name'])}** ({kind}), its prediction of frame {changed + 1}. Mean "
            f"PSNR over the {clips} of the standard set: {model['psnr']:.1f} dB."
        )
        _before_after(model["name"], arrays, changed - 1)
    st.markdown(
        "**Why its score means nothing.** The last convolution of the architecture as it is often published "
        "is centred in time: its output at each step also reads the next frame, the very one it is scored "
        "on. Copying that frame, it makes less squared error than the limit itself, on the test set as "
        "well; but live there is no next frame to copy, and the last prediction of a clip shows it."
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
            _picture(
                np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8),
                title,
                f"{title}, {parts.short_name_of(name)}",
                112,
            )


def _picture(pixels: np.ndarray, caption: str, alt: str, width: int | Literal["stretch"]) -> None:
    large = pixels.repeat(4, axis=0).repeat(4, axis=1)  # a browser would blur the small one
    with st.container(width=width):
        st.image(png_bytes(large), caption=caption or None, width=width, alt=alt)


# -------------------------------------------------------------------------------------------------- the worst


def worst() -> None:
    """The section: where a network fails most."""
    parts.begin(
        "The worst clips",
        "The clips that the network predicts worst of all, most squared error first: summed over the 4,096 "
        "pixels of a frame, mean over the frames. Below the player each of them stands at its worst moment: "
        "truth left, prediction right.",
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
    numbers = [clip["index"] for clip in clips]
    noted = state.noted(own_clip.ADDRESS)
    key = f"worst_clip_{model}"  # or the label of the other model's stays
    state.remembered(key, lambda: numbers.index(int(noted)) if noted in map(str, numbers) else 0)
    chosen = st.selectbox(
        "Play one",
        range(len(clips)),
        key=key,
        on_change=_note_clip,
        args=(key, numbers),
        format_func=lambda place: f"{place + 1}. {error_of(clips[place], data.get('sequences'))}",
        help="Plays one of them, from its first frame to its last.",
    )
    clip_player(
        [
            Panel("worst_truth", "Truth", frames=truth[chosen]),
            Panel("worst_made", "Prediction", frames=predictions[chosen], first=1, waiting="no frame yet"),
            Panel("worst_error", "Error", difference=("worst_made", "worst_truth"), first=1),
        ],
        key="worst_player",
        reveal=state.remembered(_PLAYED, lambda: 0),
    )
    _open_in_predict(model, numbers[chosen])
    with st.grid(3, min_column_width=230, gap=_PLAYER_GAP_PX):
        for place, clip in enumerate(clips):
            said = f"{place + 1}. {error_of(clip, data.get('sequences'))}"
            with st.container():
                _worst_pair(said, clip, truth[place], predictions[place])
                st.button(
                    "Play it",
                    key=f"worst_play_{place}",
                    on_click=_play,
                    args=(key, place, numbers),
                    disabled=place == chosen,
                    help="Above, from its first frame to its last.",
                )
    parts.end(
        "One frame ahead, on the standard set, whose clips are counted from 0. The first prediction of a "
        "clip does not count: from one frame nobody can tell where a digit heads. The sentence below each "
        "pair names in what the clip is unlike the others.",
        [by_frame(clip) for clip in clips],
        f"worst-{model}",
    )


_PLAYED = "_worst_played"  # how often a picture was asked to play


def by_frame(clip: Mapping[str, Any]) -> dict[str, Any]:
    """A clip's figures, the worst frame counted as everywhere: prediction 0 is of frame 2."""
    counted = dict(clip)
    counted["frame_of_worst"] = counted.pop("step_of_worst") + 2
    return counted


def _note_clip(key: str, numbers: list[int]) -> None:
    """Callback: the clip's number in the set goes into the address."""
    state.note(own_clip.ADDRESS, str(numbers[state.value(key)]))


def _play(key: str, place: int, numbers: list[int]) -> None:
    """Callback: choose a clip by its picture, far below the player."""
    state.remember(_PLAYED, state.remembered(_PLAYED, lambda: 0) + 1)
    state.remember(key, place)
    state.note(own_clip.ADDRESS, str(numbers[place]))


def _open_in_predict(model: str, number: int) -> None:
    st.page_link(
        "pages/predict.py",
        label="Open this clip in Predict it",
        icon="▶️",
        query_params={**parts.predict_parameters(state.settings(), model), own_clip.ADDRESS: str(number)},
        help="In the place of your scene: with this network frame by frame, with others, or on its own.",
    )


_PLAYER_GAP_PX = 20  # between the player's pictures: the pairs stand below them


def error_of(clip: Mapping[str, Any], clips: int | None) -> str:
    """Which of all clips of the set it is, and how wrong its prediction."""
    of_all = f" of the {clips:,}" if clips else ""
    return f"Clip {clip['index']}{of_all}: squared error {clip['mse_sum']:.0f} a frame"


def _worst_pair(said: str, clip: Mapping[str, Any], truth: np.ndarray, prediction: np.ndarray) -> None:
    step = clip["step_of_worst"]
    if not 0 <= step < len(prediction):
        raise results.ResultError(f"step_of_worst must be 0 to {len(prediction) - 1}; got {step}")
    gap = np.full((truth.shape[1], 2), 128, np.uint8)
    pair = np.hstack([truth[step + 1], gap, prediction[step]])
    _picture(
        pair,
        f"{said}. Shown: frame {step + 2}. {clip['why']}",
        f"Clip {clip['index']}, frame {step + 2}: truth and prediction.",
        "stretch",
    )
