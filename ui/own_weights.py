"""Weights of one's own beside the shipped models: brought along, recognised, chosen as "Yours".

They are no setting: nobody else has them. While they predict, the settings, and with them the address, name a
shipped model in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import streamlit as st

from core import own_weights, zoo
from core.model_config import ModelConfig
from core.own_weights import MOST_BYTES, OwnWeights, OwnWeightsError
from core.runs import Run
from core.train_config import TrainConfig
from ui import cache, state
from ui.doors import YOURS, ModelDoor, NoRoom
from ui.link import Settings
from ui.markdown import plain
from ui.own_clip import MAX_NAME

_MINE, _TROUBLE, _UPLOAD = "_own_weights", "_own_weights_trouble", "own_weights_upload"
_INSTEAD_OF = "_own_weights_instead_of"  # the shipped model that the settings name while these are used
_AGAIN_SECONDS = 1.0  # until it is looked again whether there is room for them
_HEADS = {"causal": "sees only earlier frames", "leaky": "sees the future"}


@dataclass(frozen=True)
class Mine:
    """Weights that somebody brought along.

    Attributes
    ----------
    name : of their file
    weights : what was in it
    digest : tells weights apart by their numbers
    config : the network that they are of; None until somebody says which of those that they fit
    digits : of each clip that they learned from, where that is known and always the same
    """

    name: str
    weights: OwnWeights
    digest: str
    config: ModelConfig | None
    digits: int | None = None


def _brought() -> Mine | None:
    return state.remembered(_MINE, lambda: None)


def shown(settings: Settings) -> Settings:
    """The settings as the page has them: with `YOURS` as the model while weights of one's own predict."""
    mine = _brought()
    # whoever goes back in the browser, or follows a link, to another model wants that one
    used = state.remembered(_INSTEAD_OF, lambda: None) == settings.model
    return replace(settings, model=YOURS) if used and mine is not None and mine.config else settings


def options() -> list[str]:
    """What there is to choose beside the shipped models: `YOURS`, or nothing."""
    mine = _brought()
    return [YOURS] if mine is not None and mine.config is not None else []


def door(model: str) -> ModelDoor:
    """The door to a model; that to one's own begins to open, or why it cannot is said."""
    mine = _brought()
    if model != YOURS or mine is None or mine.config is None:
        return cache.model_door(model)
    found = _or_said(cache.own_door(mine.digest, mine.config, mine.weights.arrays))
    found.start()
    return found


def inside_door(model: str) -> ModelDoor:
    """The door to a model, or one's own, that computes in float32, see `cache.inside_door`."""
    mine = _brought()
    if model != YOURS or mine is None or mine.config is None:
        return cache.inside_door(model)
    return _or_said(cache.own_inside_door(mine.digest, mine.config, mine.weights.arrays))


def _or_said(found: ModelDoor) -> ModelDoor:
    if isinstance(found, NoRoom):
        _say_no_room(found)
    return found


@st.fragment(run_every=_AGAIN_SECONDS)
def _say_no_room(door: NoRoom) -> None:
    """Say so, and show the page anew once there is some."""
    st.info(
        "The server is busy with the weights of other visitors; yours are used, without a click, as soon as "
        "there is room."
    )
    if door.has_room():
        st.rerun()


def config_of(model: str) -> ModelConfig:
    """What the network of a model, or of one's own, looks like; ModelError where that is damaged."""
    mine = _brought()
    return zoo.config_of(model) if model != YOURS or mine is None or mine.config is None else mine.config


def is_causal(model: str) -> bool:
    """Whether a model, or one's own, predicts from the past alone."""
    mine = _brought()
    if model != YOURS or mine is None or mine.config is None:
        return cache.is_causal(model)
    return mine.config.head == "causal"


# ------------------------------------------------------------------------------------------- controls


def choose(key: str) -> None:
    """Callback: the widget `key` says which model predicts, a shipped one or one's own."""
    chosen = state.value(key)
    state.remember(_TROUBLE, None)
    if chosen == YOURS:
        _use()
    elif chosen is not None:
        state.remember(_INSTEAD_OF, None)
        state.take("model", key)


def use_shipped(model: str) -> None:
    """Callback: predict with a shipped model."""
    state.remember(_INSTEAD_OF, None)
    state.use_model(model)


def offer() -> None:
    """A place to put a file."""
    with st.popover("Bring weights", key=state.key("own_weights_place")):
        file = st.file_uploader(
            "A weights file of one of these networks",
            type=["npz", "h5", "keras"],
            max_upload_size=MOST_BYTES // 10**6,
            key=state.key(_UPLOAD),
            help="`weights.npz` from the folder of a training, or what Keras saves of the same network: "
            "`.weights.h5` or `.keras`. The names and sizes of the weights tell which network it is. Only "
            "numbers are read from the file: nothing in it is executed.",
        )
        if file is not None:  # no callback: what a newer run cuts short there is never done
            with st.spinner(f"Reading {plain(file.name[:MAX_NAME])} …"):
                _bring(file.name, file.getvalue)
            st.rerun()


def about() -> None:
    """What was wrong with the last file, what is still to be said of it, or what is used."""
    trouble: str | None = state.remembered(_TROUBLE, lambda: None)
    if trouble:
        st.error(f"{trouble}. The models are as they were.", icon="⚠️")
        st.button("Dismiss", key="weights_trouble_seen", on_click=state.forget, args=(_TROUBLE,))
    mine = _brought()
    if mine is None:
        return
    if mine.config is None:
        _ask(mine)
        return
    words, button = st.columns([6, 1], vertical_alignment="center")
    words.caption(
        f"**Yours** is {plain(mine.name)}, recognised as **{mine.config.name}**: {described(mine.config)}. "
        f"{_learned_from(mine.digits)}It is kept for this visit only: a reload forgets it, and a link "
        "names a shipped model in its place."
    )
    with button:
        _put_away("stretch")
    if mine.digits is not None and state.settings().count != mine.digits:
        st.button(
            f"Make it a scene of {_number(mine.digits)}",
            key="own_weights_scene",
            on_click=state.use_count,
            args=(mine.digits,),
            help="As many digits as it learned from. What is left out waits, and Undo brings it back.",
        )


def _learned_from(digits: int | None) -> str:
    if digits is None:
        return ""
    return (
        f"It learned from clips of **{digits} digit{'' if digits == 1 else 's'}** only, and does not know "
        f"what to do with others: give it a scene of {_number(digits)}. "
    )


def _number(digits: int) -> str:
    return "one" if digits == 1 else str(digits)


def _ask(mine: Mine) -> None:
    st.info(
        f"{plain(mine.name)} fits {len(mine.weights.configs)} networks whose weights look alike. Which one "
        "was trained? If you choose the wrong one, its predictions are wrong, too."
    )
    with st.container(horizontal=True):
        for config in mine.weights.configs:
            st.button(
                f"{config.name.capitalize()}: {_HEADS[config.head]}",
                key=f"own_weights_are_{config.name}_{config.head}",
                on_click=_settle,
                args=(config,),
                help=f"{described(config)[:1].upper()}{described(config)[1:]}.",
            )
        _put_away()


def _put_away(width: Literal["content", "stretch"] = "content") -> None:
    st.button(
        "Put it away",
        key="own_weights_away",
        on_click=_away,
        width=width,
        help="Goes on without your weights.",
    )


def described(config: ModelConfig) -> str:
    """A network in a few words."""
    *first, last = map(str, config.filters)
    filters = f"{', '.join(first)} and {last}" if first else last
    words = f"{len(config.filters)} ConvLSTM layer{'s' if first else ''} with {filters} filters"
    if config.patch > 1:
        words += f" on patches of {config.patch} by {config.patch} pixels"
    if config.motions:
        encoders = " with two motion encoders" if config.others else " with a motion encoder"
        words += f", a motion head{encoders if config.encode else ''}"
    return words + (", and the convolution that sees the future" if config.head == "leaky" else "")


# ------------------------------------------------------------------------------------------ what happens


def take_run(run: Run, config: TrainConfig) -> None:
    """Predict with the best network of a training, which may be one that is not known otherwise."""
    _bring(run.name, run.weights_path.read_bytes, (config.model,), config.digits)


def _bring(
    name: str,
    data: Callable[[], bytes],
    known: tuple[ModelConfig, ...] | None = None,
    digits: int | None = None,
) -> None:
    state.remember(_TROUBLE, None)
    try:
        weights = own_weights.read_weights(data(), known)
    except (OwnWeightsError, OSError) as error:
        state.remember(_TROUBLE, f"{plain(name[:MAX_NAME])} cannot be used: {plain(str(error))}")
        state.renew_widgets()
        return
    config = weights.configs[0] if len(weights.configs) == 1 else None
    state.remember(_MINE, Mine(name[:MAX_NAME], weights, weights.digest, config, digits))
    _use()


def _settle(config: ModelConfig) -> None:
    mine = _brought()
    if mine is not None:
        state.remember(_MINE, replace(mine, config=config))
        _use()


def _use() -> None:
    """Predict with one's own weights, once it is known which network they are of."""
    mine, model = _brought(), state.settings().model
    if mine is not None and mine.config is not None:
        model = _shipped_like(mine.config)
    state.remember(_INSTEAD_OF, model)
    state.use_model(model)


def _shipped_like(config: ModelConfig) -> str:
    """The shipped model of the same network; the usual one if there is none."""
    names = cache.model_names()
    for name in names:
        try:
            if replace(zoo.config_of(name), name=config.name) == config:
                return name
        except zoo.ModelError:
            continue  # a damaged one is like none
    return names[0] if names else state.settings().model


def _away() -> None:
    for name in (_MINE, _INSTEAD_OF, _TROUBLE):
        state.remember(name, None)
    state.renew_widgets()
