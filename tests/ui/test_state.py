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
    app = AppTest.from_function(_stale_and_new, default_timeout=60).run()
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
    app = AppTest.from_function(_one_renewed, default_timeout=60).run()
    assert not app.exception


def _visited():
    import streamlit as st

    from ui import state

    state.begin("generate", ["fast", "best"])
    if st.session_state.pop("choose", None):
        state.use_model("best")
    st.text(state.settings().model)


def visited():
    """A visit whose model was changed, and whose browser has not heard of the new address yet."""
    app = AppTest.from_function(_visited, default_timeout=60).run()
    app.session_state["choose"] = True
    app.run()
    assert app.query_params["model"] == "best"
    del app.query_params["model"]
    return app


def model(app):
    assert not app.exception
    return app.run().text[0].value


def test_an_address_that_is_behind_undoes_nothing():
    assert model(visited()) == "best"


def test_a_step_back_takes_up_its_address():
    app = visited()
    app.session_state["_stepped"] = True
    assert model(app) == "fast"
    app.query_params["model"] = "best"
    assert model(app) == "fast"  # one step is taken up once


def test_an_address_that_could_not_be_written_is_written_in_the_next_run():
    app = visited()
    app.session_state["_unwritten"] = True  # a newer run cut in
    assert model(app) == "best"
    assert app.query_params["model"] == "best"


def _stepped_back():
    import streamlit as st

    from ui import state

    state.begin("inside", ["fast"])
    if st.button("Back"):
        state.step_in_history()
        state.begin("inside", ["fast"])
        assert state.arrived_by() == "history"
        state.begin("inside", ["fast"])  # that run was cut short before the page read it
        with state.inside_app():
            assert state.arrived_by() == "history"
    assert state.arrived_by() == ""


def test_a_step_back_is_heard_though_a_newer_run_cuts_in():
    app = AppTest.from_function(_stepped_back, default_timeout=60).run()
    app.button[0].click().run()
    assert not app.exception
