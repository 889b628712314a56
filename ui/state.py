"""What a person has set, kept over clicks, pages, reloads and links.

The only place that touches `st.session_state` and the query parameters. The settings live in the session;
every change writes them to the address, so that a reload or a copied link restores them, and the browser's
back button undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import streamlit as st

from core.scenes import preset_scenes, random_scene
from ui import link
from ui.link import Settings

_SETTINGS, _SEEN, _NOTICES, _PAGE, _ROUND = "_settings", "_address_seen", "_notices", "_page", "_round"
_STEPPED, _UNWRITTEN, _ARRIVED = "_stepped", "_unwritten", "_arrived"
_INSIDE, _PARTS, _PRESETS = "_inside_app", "_parts", "_presets_used"
_PAST, _FUTURE, _GESTURE, _CHOSEN, _TURNS = "_past", "_future", "_gesture", "_chosen_digit", "_turns"
MOST_UNDONE = 100
T = TypeVar("T")


def begin(page: str, models: list[str]) -> None:
    """Take up the address; call once at the start of every run, before any widget.

    That of a new visit, of a link to another page, and of a step back or forward. A run that the browser
    asked for before it heard of a change comes with the address before: that is no wish to go back.

    Parameters
    ----------
    page : address of the page that is about to run
    models : names of the shipped models; the first is the default
    """
    session = st.session_state
    models = models or [link.default_settings().model]
    session["_models"] = models
    address = _address()
    turned = session.get(_PAGE) not in (None, page)
    session[_PAGE] = page
    stepped = session.pop(_STEPPED, False)
    arrived = ("link" if address else "menu") if turned else "history" if stepped else ""
    # a run that was cut short leaves it to the next one
    session[_ARRIVED] = arrived if arrived or turned else session.get(_ARRIVED, "")
    if _SETTINGS in session:
        if (turned and not address) or session.get(_UNWRITTEN):
            _write()  # the menu drops the parameters; the scene goes along all the same
            return
        if address == session[_SEEN] or not (turned or stepped):
            return
    before = session.get(_SETTINGS)
    session[_SETTINGS], session[_NOTICES] = link.decode(address, models)
    session[_SEEN] = address
    if before is not None:
        _remember_scene(before, None)
    renew_widgets()


def step_in_history() -> None:
    """Callback: the browser went back or forward to another address of the page."""
    st.session_state[_STEPPED] = True


@contextmanager
def inside_app() -> Iterator[None]:
    """Mark the part of a run in which app.py runs a page."""
    st.session_state[_INSIDE] = True
    try:
        yield
    finally:
        st.session_state[_INSIDE] = False
    st.session_state[_ARRIVED] = ""  # what runs by itself afterwards did not come about that way


def is_inside_app() -> bool:
    """Whether app.py runs the page, with everything set up."""
    return st.session_state.get(_INSIDE, False)


def settings() -> Settings:
    """What is set now."""
    return st.session_state[_SETTINGS]


def notices() -> list[str]:
    """Sentences about what the link asked for and could not have; gone with the next change."""
    return st.session_state.get(_NOTICES, [])


def _store(changed: Settings, gesture: str | None = None, final: bool = True) -> None:
    """Take over settings.

    Parameters
    ----------
    gesture : changes of one gesture are undone together
    final : whether the gesture is over; until then the address, and with it the browser's way back, stays
    """
    before = settings()
    st.session_state[_SETTINGS] = changed
    st.session_state[_NOTICES] = []
    _remember_scene(before, gesture)
    if final:
        _write()


def _remember_scene(before: Settings, gesture: str | None) -> None:
    """What can be undone: the scene before a change, once for each gesture."""
    session = st.session_state
    same = gesture is not None and gesture == session.get(_GESTURE)
    session[_GESTURE] = gesture
    if same or link.same_scene(before, settings()):
        return
    session[_PAST] = [*session.get(_PAST, []), before][-MOST_UNDONE:]
    session[_FUTURE] = []


def can_undo() -> bool:
    """Whether a change of the scene can be taken back."""
    return bool(st.session_state.get(_PAST))


def can_redo() -> bool:
    """Whether something was taken back that can be done again."""
    return bool(st.session_state.get(_FUTURE))


def undo() -> None:
    """Take back the last change of the scene."""
    _turn_back(_PAST, _FUTURE)


def redo() -> None:
    """Do again what was taken back last."""
    _turn_back(_FUTURE, _PAST)


def _turn_back(source: str, target: str) -> None:
    session = st.session_state
    if not session.get(source):
        return
    now = settings()
    session[target] = [*session.get(target, []), now]
    session[_SETTINGS] = link.with_scene_of(now, session[source].pop())
    session[_NOTICES], session[_GESTURE] = [], None
    _write()
    renew_widgets()


def renew_widgets() -> None:
    """Make every widget a new one, that starts with what is set.

    A widget's value is set by nobody but the person in front of it. Were it overwritten from here, a run that
    the browser asked for a moment earlier would still carry the old value, and undo the change.
    """
    st.session_state[_ROUND] = st.session_state.get(_ROUND, -1) + 1


def take(field: str, key: str) -> None:
    """Callback: the widget `key` sets one field of the settings."""
    now, chosen = settings(), value(key)
    if chosen is not None and chosen != getattr(now, field):  # None: a pill that was clicked again
        _store(replace(now, **{field: chosen}))


def take_digit(number: int, field: str, key: str) -> None:
    """Callback: the widget `key` sets one field of a digit (counted from 0)."""
    chosen = value(key)
    if chosen is not None and chosen != getattr(settings().digits[number], field):
        change_digit(number, **{field: chosen})


def change_digit(number: int, **fields: Any) -> None:
    """Change fields of one digit."""
    now = settings()
    digits = list(now.digits)
    digits[number] = replace(digits[number], **fields)
    _store(replace(now, digits=tuple(digits)))


def move_digits(changed: Settings, gesture: str, final: bool) -> None:
    """Take over where digits were dragged to; the controls of those that moved begin anew."""
    now = settings()
    for number, (before, after) in enumerate(zip(now.digits, changed.digits, strict=True)):
        if before != after:
            _renew_part(digit(number))
    _store(changed, gesture, final)


def chosen_digit() -> int:
    """Number of the digit whose controls are shown."""
    return min(st.session_state.get(_CHOSEN, 0), settings().count - 1)


def choose_digit(number: int) -> None:
    """Show the controls of another digit."""
    st.session_state[_CHOSEN] = number
    _renew_part(WHICH)


def take_chosen_digit(key: str) -> None:
    """Callback: the widget `key` says whose controls are shown."""
    number = value(key)
    if number is not None:
        st.session_state[_CHOSEN] = number


def add_digit(like: int | None = None) -> None:
    """One digit more: one that waits, or a copy of another, a little aside of it."""
    now = settings()
    if now.count == link.MAX_DIGITS:
        return
    digits = list(now.digits)
    if like is not None:
        digits[now.count] = link.beside(digits[like])
    _store(replace(now, digits=tuple(digits), count=now.count + 1))
    choose_digit(now.count)
    renew_widgets()


def remove_digit(number: int) -> None:
    """One digit less, never the last one; it waits to be added again."""
    now = settings()
    if now.count == 1:
        return
    digits = list(now.digits)
    digits.insert(now.count - 1, digits.pop(number))
    _store(replace(now, digits=tuple(digits), count=now.count - 1))
    choose_digit(min(number, now.count - 2))
    renew_widgets()


def use_count(count: int) -> None:
    """Callback: so many digits in the scene, 1 to `link.MAX_DIGITS`; those that are left out wait."""
    _store(replace(settings(), count=count))
    choose_digit(chosen_digit())
    renew_widgets()


def use_preset(name: str) -> None:
    """Callback: start from a preset scene."""
    _store(link.with_scene(settings(), preset_scenes()[name]))
    renew_widgets()
    st.session_state[_PRESETS] = presets_used() + 1


def presets_used() -> int:
    """How often a preset scene was chosen."""
    return st.session_state.get(_PRESETS, 0)


def surprise(seed: int) -> None:
    """Callback: random digits, starts, speeds and directions; the number of digits and frames stays."""
    now = settings()
    _store(link.with_scene(now, random_scene(seed, n_digits=now.count, frames=now.frames, speed_px=None)))
    renew_widgets()


def use_model(name: str) -> None:
    """Callback: predict with another model."""
    _store(replace(settings(), model=name))
    renew_widgets()


def use_mode(mode: link.Mode) -> None:
    """Callback: predict in another way."""
    _store(replace(settings(), mode=mode))
    renew_widgets()


def address() -> str | None:
    """The whole address of the page with everything that is set; None where no browser asks."""
    page = st.context.url
    if not page:
        return None
    kept = [name for name in st.query_params if name not in link.PARAMETERS]  # by widgets themselves
    own = link.encode(settings(), st.session_state["_models"][0])
    query = urlencode(
        [*own.items(), *((name, value) for name in kept for value in st.query_params.get_all(name))]
    )
    return f"{page}?{query}" if query else page


def key(name: str, part: str = "") -> str:
    """The key of a widget; what it starts with is given to the widget itself.

    part : what it belongs to, if that can change by itself: the widget is another one after that
    """
    st.session_state.setdefault(_PARTS, {})[name] = part
    return _key(name, part)


def _key(name: str, part: str) -> str:
    session = st.session_state
    turns = session.get(_TURNS, {}).get(part, 0)
    if turns:
        return f"{name}~{session[_ROUND]}.{turns}"
    return f"{name}~{session[_ROUND]}" if session[_ROUND] else name


def digit(number: int) -> str:
    """What the widgets of one digit belong to, see `key`."""
    return f"digit{number}"


WHICH = "which"  # what the choice of a digit belongs to


def _renew_part(part: str) -> None:
    turns = st.session_state.setdefault(_TURNS, {})
    turns[part] = turns.get(part, 0) + 1


def value(key: str) -> Any:
    """What the widget `key` holds, for callbacks; None if another has taken its place.

    The browser tells of widgets that it is about to remove, and Streamlit, which has already forgotten them,
    takes that for a change.
    """
    name = key.partition("~")[0]
    parts = st.session_state.get(_PARTS, {})
    return st.session_state[key] if name not in parts or key == _key(name, parts[name]) else None


def chosen(key: str) -> bool:
    """Whether the switch `key` is on; a switch that was never shown is off."""
    return bool(st.session_state.get(key, False))


def several_chosen(key: str) -> list[str]:
    """What is chosen of the pills `key`; none of pills that were never shown."""
    return list(st.session_state.get(key) or [])


def event(key: str, name: str) -> Any:
    """What a component reported in this run, for callbacks."""
    return getattr(st.session_state.get(key), name, None)


def remembered(key: str, make: Callable[[], T]) -> T:
    """A value of this session that is no setting; made when first asked for."""
    if key not in st.session_state:
        st.session_state[key] = make()
    return st.session_state[key]


def forget(key: str) -> None:
    """Make no more of a value that was remembered."""
    st.session_state.pop(key, None)


def remember(key: str, value: Any) -> None:
    """Keep a value of this session that is no setting."""
    st.session_state[key] = value


def arrived_by() -> Literal["", "menu", "link", "history"]:
    """How a run of a page came about: from another page by the menu, which drops what the address said; from
    another page by a link, or by a step back or forward; by such a step on the same page; or in any other
    way.
    """
    return st.session_state.get(_ARRIVED, "")


def begun_with(key: str, usual: T) -> T:
    """What a widget `key`, whose value is in the address, begins with where the address does not say: with
    what it had when the page was left, see `left_with`.

    Streamlit enters the parameters of a link to another page into the browser's history for this page, too,
    without those of this page's widgets. So whoever comes back finds the page as it was.
    """
    begun, left = f"_begun_{key}", f"_left_{key}"
    if arrived_by():
        remember(begun, usual if noted(key) else remembered(left, lambda: usual))
    if arrived_by() == "history":  # else the widget keeps what was chosen, whatever the address says
        forget(key)
    return remembered(begun, lambda: usual)


def left_with(key: str, value: T) -> T:
    """The value of such a widget, kept for who leaves the page and comes back."""
    remember(f"_left_{key}", value)
    return value


def noted(name: str) -> str:
    """What the address says under a name that is no setting; nothing where it has none."""
    return st.query_params.get(name, "")


def note(name: str, text: str) -> None:
    """Write something that is no setting into the address, so that a link restores it; "" takes it out."""
    if st.query_params.get(name, "") == text:
        return
    if text:
        st.query_params[name] = text
    else:
        del st.query_params[name]


def note_together(texts: dict[str, str]) -> None:
    """`note` for several, none of them "", as one step of the browser's history."""
    if any(st.query_params.get(name) != text for name, text in texts.items()):
        st.query_params.update(texts)


def _address() -> dict[str, str]:
    return {name: st.query_params[name] for name in link.PARAMETERS if name in st.query_params}


def _write() -> None:
    st.session_state[_UNWRITTEN] = True  # each parameter is a message, and with each a newer run may cut in
    wanted = link.encode(settings(), st.session_state["_models"][0])
    for name in link.PARAMETERS:
        if name in wanted and st.query_params.get(name) != wanted[name]:
            st.query_params[name] = wanted[name]
        elif name not in wanted and name in st.query_params:
            del st.query_params[name]
    st.session_state[_SEEN] = wanted
    st.session_state[_UNWRITTEN] = False
