"""The scene in the sidebar: what moves, from where, how fast, which way. Shared by all pages."""

from __future__ import annotations

import secrets

import streamlit as st

from core.scenes import MAX_DIGITS, MAX_FRAMES, MAX_SPEED_PX, MIN_FRAMES, preset_scenes
from ui import cache, pictures, state
from ui.link import MAX_START_PX, Settings
from ui.pad import drawing_pad, read_drawing
from ui.picker import PAGE, handwriting_picker
from ui.stage import read_action, read_moves, scene_stage

_PRESETS = {
    "standard": "Two digits at the usual speed of 3.6 pixels a frame.",
    "collision": "Two digits fly at each other and pass through.",
    "corner bounce": "One digit turns around in a corner.",
    "three digits": "Three digits that cross.",
    "too fast": "Faster than anything the model saw when it learned.",
}
_BOUNCES = {"clamp": "Touch, then turn", "reflect": "Like a mirror"}


def scene_controls() -> None:
    """Everything that makes a scene, in the order in which a person thinks of it."""
    settings = state.settings()
    st.header("Your scene", anchor=False)
    _stage(settings)
    _starting_points()
    _digits(settings)
    _length_and_walls(settings)


def _starting_points() -> None:
    st.caption("Start from a ready-made scene, or a random one.")
    with st.container(horizontal=True, gap="xsmall"):
        for name in preset_scenes():
            st.button(
                name.capitalize(),
                key=f"preset_{name.replace(' ', '_')}",
                on_click=state.use_preset,
                args=(name,),
                help=_PRESETS.get(name),
            )
    st.button(
        "⚄ Surprise me",
        key="surprise",
        on_click=state.surprise,
        args=(secrets.randbits(31),),
        width="stretch",
        help="Draws new digits, places, speeds and directions at random. The number of digits stays.",
    )


def _stage(settings: Settings) -> None:
    def move() -> None:
        read = read_moves(state.event(_STAGE, "move"), state.settings())
        if read is not None:
            state.move_digits(*read)

    def act() -> None:
        read = read_action(state.event(_STAGE, "act"), state.settings())
        if read is not None:
            _ACTIONS[read[0]](read[1])

    st.caption("Drag a digit to where it starts, and its arrow for how fast and which way it flies.")
    scene_stage(
        settings,
        selected=state.chosen_digit(),
        undo=state.can_undo(),
        redo=state.can_redo(),
        key=_STAGE,
        on_move=move,
        on_act=act,
    )


_STAGE = "stage"
_ACTIONS = {
    "select": state.choose_digit,
    "add": lambda _: state.add_digit(),
    "duplicate": state.add_digit,
    "remove": state.remove_digit,
    "undo": lambda _: state.undo(),
    "redo": lambda _: state.redo(),
}


def _digits(settings: Settings) -> None:
    st.segmented_control(
        "How many digits",
        list(range(1, MAX_DIGITS + 1)),
        required=True,
        default=settings.count,
        key=(key := state.key("count")),
        on_change=state.take,
        args=("count", key),
        width="stretch",
        help="The model learned from clips with 1 to 3 digits. Try 4 and see how it copes.",
    )
    number = state.chosen_digit()
    if settings.count > 1:
        digits = settings.digits[: settings.count]
        names = [
            f":{color}[●] {'✎' if digit.drawing is not None else digit.digit_class}"
            for digit, color in zip(digits, pictures.DIGIT_COLOR_NAMES, strict=False)
        ]
        st.segmented_control(
            "Which one to change",
            list(range(settings.count)),
            required=True,
            default=number,
            key=(key := state.key(f"which_of_{settings.count}", state.WHICH)),
            on_change=state.take_chosen_digit,
            args=(key,),
            format_func=names.__getitem__,
            width="stretch",
            help="The controls below are of this digit. A click on a digit in the picture chooses it, too.",
        )
    _digit(settings, number)


def _digit(settings: Settings, number: int) -> None:
    digit = settings.digits[number]
    drawn = digit.drawing is not None  # then none of the ten is chosen, and no handwriting
    key = state.key(f"digit{number}_digit_class{'_drawn' if drawn else ''}", state.digit(number))
    st.segmented_control(
        "Digit",
        list(range(10)),
        required=not drawn,
        default=None if drawn else digit.digit_class,
        key=key,
        on_change=_take_class,
        args=(number, key, drawn),
        width="stretch",
        wrap=False,
        help="Which of the ten digits this is.",
    )
    _handwriting(number, digit.digit_class, digit.exemplar, drawn)
    _drawing(number, digit.drawing)
    _slider(
        number, "speed_px", "Speed", 0.0, MAX_SPEED_PX, 0.1, "%.1f px a frame",
        "How many pixels it moves from one frame to the next. The picture is 64 pixels wide. "
        "The usual speed of this test is 3.6.",
    )  # fmt: skip
    _slider(
        number, "direction_deg", "Direction, clockwise from the right", 0, 359, 1, "%d°",
        "Where it heads, in degrees clockwise: 0 is right, 90 down, 180 left, 270 up.",
    )  # fmt: skip
    _slider(
        number, "x", "Start, from the left", 0, MAX_START_PX, 1, "%d px",
        "How far the left edge of the digit's square is from the left wall in the first frame.",
    )  # fmt: skip
    _slider(
        number, "y", "Start, from the top", 0, MAX_START_PX, 1, "%d px",
        "How far the top edge of the digit's square is from the top wall in the first frame.",
    )  # fmt: skip


def _slider(
    number: int, field: str, label: str, low: float, high: float, step: float, form: str, text: str
) -> None:
    key = state.key(f"digit{number}_{field}", state.digit(number))
    st.slider(
        label,
        low,
        high,
        value=getattr(state.settings().digits[number], field),
        step=step,
        format=form,
        key=key,
        on_change=state.take_digit,
        args=(number, field, key),
        help=text,
    )


def _take_class(number: int, key: str, drawn: bool) -> None:
    """A class has its own examples: take one that exists.

    drawn : whether the choice was that beside a drawing; one that has just gone may still report
    """
    digit_class, digit = state.value(key), state.settings().digits[number]
    if digit_class is not None and drawn == (digit.drawing is not None):
        exemplar = min(digit.exemplar, cache.example_count(digit_class) - 1)
        state.change_digit(number, digit_class=digit_class, exemplar=exemplar, drawing=None)


def _handwriting(number: int, digit_class: int, exemplar: int, drawn: bool) -> None:
    key, page_key = f"digit{number}_handwriting", f"digit{number}_page"
    # the page turned to, for as long as class and choice stay the same
    page = state.remembered(page_key, lambda: (digit_class, exemplar, exemplar // PAGE * PAGE))
    if page[:2] != (digit_class, exemplar):
        page = (digit_class, exemplar, exemplar // PAGE * PAGE)
        state.remember(page_key, page)
    total = cache.example_count(digit_class)
    first = min(page[2], (total - 1) // PAGE * PAGE)

    def pick() -> None:
        chosen = state.event(key, "pick")
        if isinstance(chosen, int) and 0 <= chosen < total:
            state.change_digit(number, exemplar=chosen, drawing=None)

    def turn() -> None:
        wanted = state.event(key, "page")
        if isinstance(wanted, int) and 0 <= wanted < total:
            state.remember(page_key, (digit_class, exemplar, wanted // PAGE * PAGE))

    handwriting_picker(
        cache.examples(digit_class, first, PAGE),
        first=first,
        total=total,
        selected=None if drawn else exemplar,
        label=f"Handwriting of digit {digit_class}",
        key=key,
        on_pick=pick,
        on_page=turn,
    )


def _drawing(number: int, drawing: str | None) -> None:
    key = f"digit{number}_pad"

    def take() -> None:
        word = read_drawing(state.event(key, "drawn"))
        if word is not None:
            state.change_digit(number, drawing=word)

    with st.popover("Drawn by you" if drawing else "Draw your own", width="stretch"):
        drawing_pad(drawing, key=key, on_drawn=take)
        st.caption("It is scaled to the size of the other digits, and flies as soon as you let go.")
        if drawing:
            st.button(
                "Back to the chosen handwriting",
                key=f"digit{number}_undraw",
                on_click=state.change_digit,
                args=(number,),
                kwargs={"drawing": None},
                help="Puts your drawing away.",
            )


def _length_and_walls(settings: Settings) -> None:
    st.slider(
        "Length of the clip",
        MIN_FRAMES,
        MAX_FRAMES,
        value=settings.frames,
        key=(key := state.key("frames")),
        on_change=state.take,
        args=("frames", key),
        format="%d frames",
        help="A frame is one picture of the clip. The usual test has 20.",
    )
    st.segmented_control(
        "At a wall",
        list(_BOUNCES),
        required=True,
        default=settings.bounce,
        key=(key := state.key("bounce")),
        on_change=state.take,
        args=("bounce", key),
        format_func=_BOUNCES.__getitem__,
        width="stretch",
        help="“Touch, then turn” is the rule the model learned: a digit that would pass the wall "
        "ends exactly at it, and flies back with the next frame. “Like a mirror” turns back without losing "
        "the rest of the step.",
    )
