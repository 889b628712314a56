"""Scenes: what they refuse, how they are written and read, how the seed fills them in."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import drawings
from core.baselines import scene_rollout
from core.moving_mnist import (
    render,
    render_layers,
    to_frames,
    trajectory,
)
from core.scenes import Digit, Scene, SceneError, preset_scenes, random_scene


@st.composite
def digits(draw, span=36.0):
    return Digit.from_polar(
        draw(st.integers(0, 9)),
        draw(st.one_of(st.none(), st.integers(0, 400))),
        draw(st.one_of(st.none(), st.floats(0, span))),
        draw(st.one_of(st.none(), st.floats(0, span))),
        draw(st.floats(0, 10)),
        draw(st.floats(0, 360)),
    )


@st.composite
def scenes(draw):
    canvas = draw(st.sampled_from([32, 64, 72, 128]))
    return Scene(
        tuple(draw(st.lists(digits(span=canvas - 28), min_size=1, max_size=4))),
        frames=draw(st.integers(2, 40)),
        canvas=canvas,
        bounce=draw(st.sampled_from(["clamp", "reflect"])),
        seed=draw(st.integers(0, 2**40)),
        split=draw(st.sampled_from(["test", "validation"])) if canvas == 64 else "test",
    )


class TestScene:
    @given(scenes())
    def test_json_round_trip(self, scene):
        assert Scene.from_json(scene.to_json()) == scene

    @given(scenes())
    def test_resolving_leaves_nothing_open_and_is_final(self, scene):
        scene = replace(scene, digits=tuple(replace(d, exemplar=None) for d in scene.digits))
        resolved = scene.resolved()
        for digit in resolved.digits:
            assert None not in [value for name, value in vars(digit).items() if name != "drawing"]
        assert resolved.resolved() == resolved

    def test_what_is_given_is_kept_and_does_not_change_the_rest(self):
        open_scene = Scene((Digit(7), Digit(3)), seed=5)
        pinned = Scene((Digit(7, x=1.5), Digit(3)), seed=5)
        assert pinned.resolved().digits[0].x == 1.5
        assert pinned.resolved().digits[0].y == open_scene.resolved().digits[0].y
        assert pinned.resolved().digits[1] == open_scene.resolved().digits[1]

    def test_seed_decides_what_is_open(self):
        assert Scene((Digit(7),), seed=1).resolved() != Scene((Digit(7),), seed=2).resolved()

    def test_polar_and_cartesian_velocity_agree(self):
        digit = Digit.from_polar(1, 0, 0, 0, 5, 90)
        assert (digit.vx, digit.vy) == (0, 5)
        assert (digit.speed_px, digit.direction_deg) == (5, 90)

    @given(st.floats(0, 10), st.floats(0, 360))
    def test_any_direction_at_top_speed_is_allowed(self, speed, direction):
        assert Digit.from_polar(1, 0, 0, 0, speed, direction).speed_px == pytest.approx(speed, abs=1e-8)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Digit(10), "digit class must be a whole number from 0 to 9; got 10"),
            (lambda: Digit(True), "digit class must be a whole number"),
            (lambda: Digit(1, x=math.nan), "x must be a number from 0 to 228; got nan"),
            (lambda: Digit(1, vx=10**400, vy=0), "vx must be a number from -10 to 10; got 1000"),
            (lambda: Digit(1, vx=1.0), "vx and vy must be given together; got vx=1.0, vy=None"),
            (lambda: Digit(1, vx=8.0, vy=8.0), "speed must be 10 px a frame or less; got 11.31"),
            (lambda: Digit.from_polar(1, 0, 0, 0, 11, 0), "speed must be a number from 0 to 10; got 11"),
            (lambda: Scene(()), "a scene has 1 to 4 digits; got 0"),
            (lambda: Scene((Digit(1),) * 5), "a scene has 1 to 4 digits; got 5"),
            (lambda: Scene([Digit(1)]), "digits must be a tuple of Digit"),
            (lambda: Scene((Digit(1),), frames=1), "frames must be a whole number from 2 to 200; got 1"),
            (lambda: Scene((Digit(1),), canvas=65), "canvas must be a multiple of 8; got 65"),
            (lambda: Scene((Digit(1),), bounce="stop"), "bounce must be one of clamp, reflect; got 'stop'"),
            (lambda: Scene((Digit(1),), seed=-1), "seed must be a whole number"),
            (lambda: Scene((Digit(1),), split="all"), "split must be one of train, validation, test"),
            (lambda: Scene((Digit(1, x=40),)), "x of digit 1 must be a number from 0 to 36; got 40"),
            (lambda: render(Scene((Digit(1, 9000),))), r"exemplar of digit 1 must be 0 to 1134 .* got 9000"),
        ],
    )
    def test_what_cannot_be_is_refused_with_what_arrived(self, make, message):
        with pytest.raises(SceneError, match=message):
            make()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "a scene must be JSON"),
            ("[1]", "a scene must be a JSON object; got list"),
            ('{"digits": 3}', "digits must be a list; got int"),
            ('{"digits": [3]}', "each digit must be a JSON object; got int"),
            ('{"digits": [{"x": 3}]}', "a digit needs a digit_class"),
            ('{"digits": [{"digit_class": 3}], "fps": 3}', "Scene has no field 'fps'"),
            ('{"digits": [{"digit_class": 3}], "version": 2}', "scene version must be 1; got 2"),
            ('{"digits": [{"digit_class": "3"}]}', "digit class must be a whole number from 0 to 9; got '3'"),
            ('{"digits": [{"digit_class": 3, "x": NaN}]}', "x must be a number"),
        ],
    )
    def test_unreadable_json_is_refused_in_one_sentence(self, text, message):
        with pytest.raises(SceneError, match=message):
            Scene.from_json(text)

    @given(st.recursive(st.one_of(st.none(), st.integers(), st.floats(), st.text()), st.lists))
    def test_any_json_is_a_scene_or_a_scene_error(self, value):
        text = json.dumps({"digits": [{"digit_class": 3, "x": value}], "frames": value})
        with pytest.raises(SceneError):
            Scene.from_json(text.replace('"frames"', '"framez"'))


class TestPresets:
    def test_names(self):
        assert list(preset_scenes()) == ["standard", "collision", "corner bounce", "three digits", "too fast"]

    def test_standard_flies_at_the_standard_speed(self):
        assert [digit.speed_px for digit in preset_scenes()["standard"].digits] == pytest.approx([3.6, 3.6])

    def test_collision_collides(self):
        layers = render_layers(preset_scenes()["collision"]) > 0
        assert (layers[0] & layers[1]).any()

    @pytest.mark.parametrize("context", range(2, 20))
    def test_of_a_collision_who_knows_velocities_and_walls_foresees_all(self, context):
        scene = preset_scenes()["collision"]
        told = scene_rollout("bounce_oracle", scene, context, 20 - context)
        np.testing.assert_array_equal(told, to_frames(render(scene))[context:])

    def test_corner_bounce_hits_both_walls_in_one_frame(self):
        path = trajectory(preset_scenes()["corner bounce"])[:, 0]
        assert (path == 36).all(axis=1).any()

    def test_too_fast_is_faster_than_training(self):
        assert all(digit.speed_px > 7 for digit in preset_scenes()["too fast"].digits)

    @pytest.mark.parametrize("n_digits", [1, 2, 3, 4])
    def test_random_scene_is_reproducible(self, n_digits):
        scene = random_scene(11, n_digits=n_digits, speed_px=None)
        assert scene == random_scene(11, n_digits=n_digits, speed_px=None)
        assert len(scene.digits) == n_digits


class TestDrawnDigits:
    WORD = drawings.encode(drawings.as_digit(np.pad(np.full((30, 8), 255, np.uint8), 10)))

    def test_one_flies_in_the_place_of_the_exemplar(self):
        scene = Scene((Digit(7, 0, 4.0, 5.0, 0.0, 0.0, self.WORD),), frames=2)
        np.testing.assert_array_equal(render(scene)[0, 5:33, 4:32], drawings.decode(self.WORD))

    def test_json_holds_it_and_nothing_of_it_where_there_is_none(self):
        scene = Scene((Digit(7, drawing=self.WORD), Digit(3)))
        assert Scene.from_json(scene.to_json()) == scene
        assert scene.to_json().count("drawing") == 1

    def test_resolving_keeps_it(self):
        assert Scene((Digit(7, drawing=self.WORD),)).resolved().digits[0].drawing == self.WORD

    def test_what_is_no_drawing_is_refused(self):
        with pytest.raises(SceneError, match="the drawing cannot be read"):
            Digit(7, drawing="!")


def test_numbers_of_numpy_are_numbers():
    digit = Digit(np.int64(3), x=np.float32(4.5), y=np.int32(5), vx=np.float64(1), vy=np.float32(0))
    assert digit == Digit(3, x=4.5, y=5, vx=1.0, vy=0.0)
    scene = Scene((digit,), frames=np.int64(12), seed=np.uint8(7))
    assert Scene.from_json(scene.to_json()) == scene
    assert {type(value) for value in (scene.frames, scene.seed, scene.digits[0].digit_class)} == {int}
    assert random_scene(np.int64(3), n_digits=np.int64(1)) == random_scene(3, n_digits=1)
    for odd in (np.bool_(True), True, np.float32(3)):
        with pytest.raises(SceneError, match="digit class must be a whole number from 0 to 9; got"):
            Digit(odd)
