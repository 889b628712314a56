"""What is set, apart from the pages that show it."""

from streamlit.testing.v1 import AppTest


def _stale_and_new():
    import streamlit as st

    from ui import state

    state.begin("generate", ["fast"])
    speed, frames = state.key("digit0_speed_px", state.digit(0)), state.key("frames")
    st.slider("Speed", 0.0, 10.0, 2.0, key=speed)
    st.slider("Length", 2, 60, 20, key=frames)
    assert (state.value(speed), state.value(frames)) == (2.0, 20)
    state.use_preset("too fast")  # every widget gives way to another
    before = state.settings()
    state.take_digit(0, "speed_px", speed)
    state.take("frames", frames)
    assert state.value(speed) is None
    assert state.settings() == before
    assert state.key("frames") != frames


def test_a_widget_that_gave_way_to_another_changes_nothing_any_more():
    app = AppTest.from_function(_stale_and_new).run()
    assert not app.exception


def _one_renewed():
    from dataclasses import replace

    import streamlit as st

    from ui import state

    state.begin("generate", ["fast"])
    keys = [state.key(f"digit{number}_x", state.digit(number)) for number in (0, 1)]
    for key in keys:
        st.slider(key, 0, 36, 4, key=key)
    first, *others = state.settings().digits
    state.move_digits(replace(state.settings(), digits=(replace(first, x=9), *others)), "drag", True)
    assert [state.value(key) for key in keys] == [None, 4]


def test_only_the_widgets_of_the_digit_that_was_dragged_give_way():
    app = AppTest.from_function(_one_renewed).run()
    assert not app.exception
