import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import drawings
from core.digits import load_digits
from core.moving_mnist import render
from core.scenes import preset_scenes, random_scene
from ui import link
from ui.link import DigitSettings, Settings

MODELS = ["fast", "reference"]
DRAWN = [
    drawings.encode(drawings.as_digit(np.pad(np.full(size, 255, np.uint8), 5))) for size in ((9, 9), (30, 4))
]
COUNTS = [load_digits("test").count(digit_class) for digit_class in range(10)]


@st.composite
def digits(draw):
    digit_class = draw(st.integers(0, 9))
    return DigitSettings(
        digit_class,
        draw(st.integers(0, COUNTS[digit_class] - 1)),
        draw(st.integers(0, 36)),
        draw(st.integers(0, 36)),
        draw(st.integers(0, 100)) / 10,
        draw(st.integers(0, 359)),
        draw(st.none() | st.sampled_from(DRAWN)),
    )


@st.composite
def settings_of_any_kind(draw):
    shown = draw(st.lists(digits(), min_size=1, max_size=4))
    return Settings(
        (*shown, *link.default_settings().digits[len(shown) :]),
        count=len(shown),
        frames=draw(st.integers(2, 200)),
        bounce=draw(st.sampled_from(["clamp", "reflect"])),
        model=draw(st.sampled_from(MODELS)),
        mode=draw(st.sampled_from(link.MODES)),
        context=draw(st.integers(1, 199)),
        horizon=draw(st.integers(1, 199)),
    )


@given(settings_of_any_kind())
def test_a_link_restores_everything(settings):
    written = link.encode(settings, "fast")

    assert link.decode(written, MODELS) == (settings, [])
    # nothing that an address would have to escape, and short enough to read out
    assert re.fullmatch(r"[A-Za-z0-9_.~-]*", "".join(written.values()))
    drawn = sum(digit.drawing is not None for digit in settings.digits)
    assert len(written.get("scene", "")) <= 100 + 100 * drawn


@given(settings_of_any_kind())
def test_any_settings_make_a_scene_and_a_rollout_that_fits(settings):
    assert len(settings.scene().digits) == settings.count
    context, horizon = settings.rollout_steps()
    assert context >= 1
    assert horizon >= 1
    assert context + horizon <= settings.frames


def test_the_default_leaves_the_address_clean():
    assert link.encode(link.default_settings(), "fast") == {}
    assert link.decode({}, MODELS) == (link.default_settings(), [])


@pytest.mark.parametrize("name", list(preset_scenes()))
def test_presets_lie_on_the_grid_of_the_controls(name):
    scene = preset_scenes()[name]

    assert (render(link.with_scene(link.default_settings(), scene).scene()) == render(scene)).all()


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_a_random_scene_fits_the_controls(seed, n_digits):
    settings = link.with_scene(link.default_settings(), random_scene(seed, n_digits=n_digits, speed_px=None))

    assert link.decode(link.encode(settings, "fast"), MODELS) == (settings, [])


def test_a_digit_that_stands_still_remembers_its_direction():
    digits = (replace(link.default_settings().digits[0], speed_px=0.0, direction_deg=123),)
    settings = replace(link.default_settings(), digits=digits + link.default_settings().digits[1:])

    assert link.decode(link.encode(settings, "fast"), MODELS)[0].digits[0].direction_deg == 123


@given(
    st.dictionaries(
        st.sampled_from([*link.PARAMETERS, "else"]),
        st.text(max_size=60) | st.from_regex(r"[0-9]-[0-9]{1,3}-[a-z](-[0-9_.]{0,20}){0,5}", fullmatch=True),
    )
)
def test_garbage_falls_back_and_says_so(parameters):
    settings, notices = link.decode(parameters, MODELS)

    for name in link.PARAMETERS:
        if name in parameters and not any(
            f"The {link._NAMES[name]} in this link" in line for line in notices
        ):
            assert str(link._text(settings, name)) == parameters[name] or name in (
                "scene",
                "context",
                "horizon",
            )
    settings.scene()  # whatever came out can be shown


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        ("", "not one that this version can read"),
        ("2-20-c-7_3_3_22_3.6_330", "not one that this version can read"),
        ("1-20-c", "must hold 1 to 4 digits"),
        ("1-20-c" + "-7_3_3_22_3.6_330" * 5, "must hold 1 to 4 digits"),
        (
            "1-201-c-7_3_3_22_3.6_330",
            "asks for number of frames 201, and number of frames goes from 2 to 200",
        ),
        ("1-1-c-7_3_3_22_3.6_330", "number of frames 1"),
        ("1-20-x-7_3_3_22_3.6_330", "the way it bounces cannot be read"),
        ("1-20-c-7_3_3_22_3.6", "a digit in it is incomplete"),
        ("1-20-c-10_3_3_22_3.6_330", "asks for digit 10, and digit goes from 0 to 9"),
        (f"1-20-c-7_{COUNTS[7]}_3_22_3.6_330", f"handwriting goes from 0 to {COUNTS[7] - 1}"),
        ("1-20-c-7_3_37_22_3.6_330", "asks for start 37, and start goes from 0 to 36"),
        ("1-20-c-7_3_3_22_10.1_330", "asks for speed 10.1, and speed goes from 0 to 10"),
        ("1-20-c-7_3_3_22_nan_330", "the speed in it cannot be read"),
        ("1-20-c-7_3_3_22_1e1_330", "the speed in it cannot be read"),
        ("1-20-c-7_3_3_22_3.6_360", "direction goes from 0 to 359"),
        ("1-20-c-\u0667_3_3_22_3.6_330", "the digit in it cannot be read"),
        ("1" * 2000, "it is too long"),
    ],
)
def test_what_is_wrong_with_a_scene_is_said_in_words(scene, reason):
    settings, notices = link.decode({"scene": scene}, MODELS)

    assert settings == link.default_settings()
    assert len(notices) == 1
    assert reason in notices[0]


def test_one_bad_parameter_leaves_the_others():
    settings, notices = link.decode(
        {"model": "none", "mode": "rollout", "context": "5", "horizon": "0"}, MODELS
    )

    assert (settings.model, settings.mode, settings.context, settings.horizon) == ("fast", "rollout", 5, 10)
    assert [line.split(" in this link")[0] for line in notices] == [
        "The model",
        "The number of frames to predict",
    ]
