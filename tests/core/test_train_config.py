"""Settings of a run: every check with its sentence, JSON, progress, schedules worked out by hand."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.damage import shown
from core.model_config import CONFIGS
from core.train_config import (
    PRECISIONS,
    SCHEDULES,
    TrainConfig,
    default_config,
    learning_rate_at,
    rollout_share_at,
)

PLAIN = TrainConfig(CONFIGS["fast"], epochs=4, steps_per_epoch=25)


def refused(message):
    return pytest.raises(ValueError, match=f"^{message}$")


class TestChecks:
    @pytest.mark.parametrize(
        ("name", "low"),
        [
            ("epochs", 1),
            ("steps_per_epoch", 1),
            ("batch_size", 1),
            ("validation_clips", 1),
            ("patience", 1),
            ("context_frames", 1),
            ("warmup_steps", 0),
        ],
    )
    def test_whole_numbers(self, name, low):
        assert getattr(replace(PLAIN, **{name: low}), name) == low
        for wrong in (low - 1, 2.0, True, "3", math.nan):
            words = name.replace("_", " ")
            with refused(f"{words} must be a whole number, {low} or more; got {wrong!r}"):
                replace(PLAIN, **{name: wrong})

    @pytest.mark.parametrize(("name", "low", "high"), [("frames", 2, 200), ("seed", 0, 2**32 - 1)])
    def test_whole_numbers_of_a_range(self, name, low, high):
        for right in (low, high):
            assert getattr(replace(PLAIN, **{name: right}), name) == right
        for wrong in (low - 1, high + 1, 10**30, 2.0, True):
            with refused(f"{name} must be a whole number, {low} to {high}; got {wrong!r}"):
                replace(PLAIN, **{name: wrong})

    @pytest.mark.parametrize("name", ["steps_per_epoch", "seed"])
    def test_only_epochs_minutes_and_the_like_may_be_left_open(self, name):
        with refused(f"{name.replace('_', ' ')} must be a whole number, .*; got None"):
            replace(PLAIN, **{name: None})

    @pytest.mark.parametrize("name", ["learning_rate", "clip_norm", "minutes"])
    @pytest.mark.parametrize(
        "wrong", [0, -1.0, math.nan, math.inf, True, "1", pytest.param(10**400, id="huge")]
    )
    def test_numbers_above_0(self, name, wrong):
        with refused(f"{name.replace('_', ' ')} must be above 0; got {shown(wrong)}"):
            replace(PLAIN, epochs=None, **{name: wrong})

    @pytest.mark.parametrize("wrong", [-0.1, 1.0, math.nan, None, True])
    def test_ema(self, wrong):
        assert replace(PLAIN, ema=0).ema == 0
        with refused(f"ema must be 0 or more and below 1; got {wrong!r}"):
            replace(PLAIN, ema=wrong)

    @pytest.mark.parametrize("wrong", [-0.1, 1.001, math.inf, "all"])
    def test_rollout(self, wrong):
        assert replace(PLAIN, rollout=1).rollout == 1
        with refused(f"rollout must be 0 to 1; got {wrong!r}"):
            replace(PLAIN, rollout=wrong)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"minutes": 3.0}, "a plan is made in epochs or in minutes; got both"),
            ({"plan_from_minutes": -1.0}, "plan from minutes must be 0 or more; got -1.0"),
            ({"plan_from_minutes": None}, "plan from minutes must be 0 or more; got None"),
            (
                {"precision": "float8"},
                "precision must be one of auto, float32, mixed_bfloat16; got 'float8'",
            ),
            ({"schedule": "step"}, "schedule must be one of cosine, one-cycle, constant; got 'step'"),
            ({"digits": 0}, "digits must be 1 to 3; got 0"),
            ({"digits": 4}, "digits must be 1 to 3; got 4"),
            ({"digits": 2.0}, "digits must be 1 to 3; got 2.0"),
            ({"digits": True}, "digits must be 1 to 3; got True"),
            ({"standard_share": -0.1}, "standard share must be 0 to 1; got -0.1"),
            ({"standard_share": math.nan}, "standard share must be 0 to 1; got nan"),
            (
                {"digits": 2, "standard_share": 0.9},
                "standard share must be left out where digits is 2 and not mixed; got 0.9",
            ),
            ({"init_from": 7}, "init from must be a model's name or folder; got 7"),
            (
                {"average_with": "fast"},
                "average with needs a model to begin from; init from must be given, too",
            ),
            (
                {"model": CONFIGS["best"], "forecast_from": 7},
                "forecast from must be a model's name or folder; got 7",
            ),
            (
                {"model": CONFIGS["reference"], "forecast_from": "best"},
                "reference has no forecast to begin with; forecast from must be left out",
            ),
            ({"loss": {"vgg": 1.0}}, "loss must be made of bce, mse, log_mse, perceptual, gdl; got vgg"),
            ({"loss": {"bce": 0.0}}, "one loss weight or more must be above 0; got bce=0.0"),
            ({"loss": {"bce": "1"}}, "loss weights must be finite numbers of 0 or more; got bce=1"),
            (
                {"rollout": 0.5, "context_frames": 9},
                "context frames must be 8 or less, so that a clip of 10 frames has predictions .*; got 9",
            ),
            (
                {"learn": "forecast", "model": CONFIGS["best"], "context_frames": 9},
                "context frames must be 8 or less, so that a clip of 10 frames has predictions .*; got 9",
            ),
            (
                {"learn": "forecast", "model": CONFIGS["reference"]},
                "reference has no forecast to learn; learn must be all",
            ),
            (
                {"learn": "foresight", "model": CONFIGS["fast"]},
                "fast does not foresee; learn must be all or forecast",
            ),
            (
                {"learn": "foresight", "model": CONFIGS["best"], "rollout": 0.5},
                "rollout must be 0 where learn is foresight; got 0.5",
            ),
            (
                {"learn": "network", "model": CONFIGS["best"], "rollout": 0.5},
                "rollout must be 0 where learn is network; got 0.5",
            ),
            (
                {"learn": "network", "model": CONFIGS["fast"]},
                "fast does not foresee; learn must be all or forecast",
            ),
            (
                {"learn": "trust", "model": CONFIGS["reference"], "rollout": 0.5},
                "reference has no forecast to learn; learn must be all",
            ),
            (
                {"learn": "trust", "model": CONFIGS["fast"]},
                "rollout must be above 0 where the trust in rollouts is learned; got 0",
            ),
            (
                {"learn": "foresight", "model": CONFIGS["best"], "digits": 2},
                "digits must be left out where foresight is learned; got 2",
            ),
            (
                {"model": CONFIGS["best"], "learn": "foresight", "standard_share": 1.0},
                "standard share must be left out where foresight is learned; got 1.0",
            ),
            (
                {"model": CONFIGS["leaky"], "rollout": 0.5},
                "rollout must be 0 with leaky, whose leaky head cannot learn from its own .*; got 0.5",
            ),
            ({"learn": "head"}, "learn must be one of all, network, forecast, trust, foresight; got 'head'"),
            (
                {"rollout": 0.5, "context_frames": 1, "frames": 2},
                "frames must be 3 or more, so that predictions can be fed back; got 2",
            ),
        ],
    )
    def test_choices_and_combinations(self, changes, message):
        with refused(message):
            replace(PLAIN, **changes)

    @pytest.mark.parametrize(
        "rise", [(0.5,), (0.1, 0.2, 0.3), (0.7, 0.1), (-0.1, 0.5), (0.5, 1.1), (math.nan, 1.0), ("0", 1), 0.5]
    )
    def test_rise(self, rise):
        with pytest.raises(
            ValueError, match="^rollout rise must be two shares of the plan, 0 to 1 and rising"
        ):
            replace(PLAIN, rollout_rise=rise)

    def test_long_contexts_matter_only_to_rollouts(self):
        assert replace(PLAIN, context_frames=50).context_frames == 50
        assert replace(PLAIN, context_frames=8, rollout=0.5).context_frames == 8


@st.composite
def configs(draw):
    share = st.floats(0, 1)
    plan = {"epochs": draw(st.integers(1, 10**6))}
    if draw(st.booleans()):
        plan = {"minutes": draw(st.floats(1e-3, 1e6)), "plan_from_minutes": draw(st.floats(0, 1e6))}
    model = draw(st.sampled_from(list(CONFIGS.values())))
    return TrainConfig(
        model,
        **plan,
        frames=draw(st.integers(3, 40)),
        context_frames=1,
        digits=draw(st.sampled_from((None, 1, 2, 3))),
        learning_rate=draw(st.floats(1e-9, 10)),
        schedule=draw(st.sampled_from(SCHEDULES)),
        loss={"bce": draw(st.floats(0.01, 100)), "gdl": draw(st.floats(0, 1))},
        rollout=draw(share) if model.head == "causal" else 0.0,
        rollout_rise=tuple(sorted((draw(share), draw(share)))),
        precision=draw(st.sampled_from(PRECISIONS)),
        patience=draw(st.sampled_from((None, 1, 9))),
        init_from=draw(st.one_of(st.none(), st.text())),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


class TestJson:
    @given(config=configs())
    def test_round_trip(self, config):
        assert TrainConfig.from_json(config.to_json()) == config

    def test_what_a_file_leaves_out_is_as_usual(self):
        model = json.loads(CONFIGS["fast"].to_json())
        assert TrainConfig.from_json(json.dumps({"model": model})) == TrainConfig(CONFIGS["fast"])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"speed": 3}, "a training configuration has no speed; it has average_with, .*"),
            ({"rollout_rise": 3}, "rollout_rise of a training configuration is a list, loss an object"),
            ({"loss": [1]}, "rollout_rise of a training configuration is a list, loss an object"),
            ({"model": {"name": "x"}}, "a model configuration is a JSON object with .*"),
            ({"model": 7}, "a model configuration is a JSON object with .*"),
            ({"learning_rate": math.nan}, "learning rate must be above 0; got nan"),
            ({"ema": "0.9"}, "ema must be 0 or more and below 1; got '0.9'"),
            ({"schedule": []}, r"schedule must be one of .*; got \[\]"),
        ],
    )
    def test_a_hand_edited_file_is_refused(self, changes, message):
        with refused(message):
            TrainConfig.from_json(json.dumps({**json.loads(PLAIN.to_json()), **changes}))

    @pytest.mark.parametrize("text", ["[]", "3", "null", "{}", '{"epochs": 3}'])
    def test_other_json_is_refused(self, text):
        with refused("a training configuration is a JSON object with a model"):
            TrainConfig.from_json(text)


class TestProgress:
    def test_in_epochs(self):
        assert PLAIN.total_steps == 100
        assert [PLAIN.progress(step, 999.0) for step in (0, 25, 100, 150)] == [0, 0.25, 1, 1]

    def test_in_minutes(self):
        config = replace(PLAIN, epochs=None, minutes=4.0)
        assert config.total_steps is None
        assert [config.progress(10**6, minutes) for minutes in (0, 1.0, 4.0, 9.0)] == [0, 0.25, 1, 1]

    def test_in_minutes_from_where_a_new_plan_began(self):
        config = replace(PLAIN, epochs=None, minutes=4.0, plan_from_minutes=10.0)
        assert [config.progress(0, minutes) for minutes in (3.0, 10.0, 11.0, 14.0)] == [0, 0, 0.25, 1]

    def test_without_a_plan(self):
        with refused("the run has no plan: say epochs or minutes"):
            replace(PLAIN, epochs=None).progress(0, 0)


class TestLearningRate:
    def test_cosine_by_hand(self):
        config = replace(PLAIN, learning_rate=2.0, warmup_steps=4)
        # warm-up: a quarter, a half ...; cosine: the mean of 1 and 0.01 half way
        assert [learning_rate_at(config, step, 0.0) for step in range(5)] == pytest.approx(
            [0.5, 1, 1.5, 2, 2]
        )
        assert learning_rate_at(config, 99, 0.5) == pytest.approx(1.01)
        assert learning_rate_at(config, 99, 1.0) == pytest.approx(0.02)
        assert learning_rate_at(config, 1, 0.5) == pytest.approx(0.505)

    def test_constant(self):
        config = replace(PLAIN, schedule="constant", learning_rate=2.0, warmup_steps=2)
        rates = [learning_rate_at(config, step, step / 10) for step in range(11)]
        assert rates == pytest.approx([1.0] + [2.0] * 10)

    def test_one_cycle_by_hand(self):
        config = replace(PLAIN, schedule="one-cycle", learning_rate=1.0, warmup_steps=10**6)
        rates = [learning_rate_at(config, 0, done) for done in (0, 0.15, 0.3, 0.65, 1.0)]
        assert rates == pytest.approx([0.04, 0.52, 1.0, 0.50005, 1e-4])

    @given(done=st.lists(st.floats(0, 1), min_size=2, max_size=20))
    def test_one_cycle_rises_to_its_peak_then_falls(self, done):
        config = replace(PLAIN, schedule="one-cycle", learning_rate=1.0)
        rising = [learning_rate_at(config, 0, share) for share in sorted(done) if share < 0.3]
        falling = [learning_rate_at(config, 0, share) for share in sorted(done) if share >= 0.3]
        assert rising == sorted(rising)
        assert falling == sorted(falling, reverse=True)
        assert all(1e-4 <= rate <= 1 + 1e-12 for rate in rising + falling)

    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_no_warm_up_begins_at_once(self, schedule):
        config = replace(PLAIN, schedule=schedule, warmup_steps=0, learning_rate=3.0)
        expected = 3 / 25 if schedule == "one-cycle" else 3.0
        assert learning_rate_at(config, 0, 0.0) == pytest.approx(expected)

    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_short_and_long_plans_have_the_same_shape(self, schedule):
        """The schedule is of the plan, in epochs or minutes, not of a number of steps."""
        short = replace(PLAIN, schedule=schedule, warmup_steps=0)
        long = replace(short, epochs=400)
        timed = replace(short, epochs=None, minutes=7.0)
        for share in (0, 0.1, 0.3, 0.77, 1):
            rates = [
                learning_rate_at(short, int(100 * share), short.progress(int(100 * share), 0)),
                learning_rate_at(long, int(10_000 * share), long.progress(int(10_000 * share), 0)),
                learning_rate_at(timed, 5, timed.progress(5, 7 * share)),
            ]
            assert rates == pytest.approx([rates[0]] * 3, rel=1e-9)

    def test_past_its_end_a_plan_stays_there(self):
        assert learning_rate_at(PLAIN, 10**6, 3.0) == learning_rate_at(PLAIN, 10**6, 1.0)


class TestRolloutShare:
    def test_by_hand(self):
        config = replace(PLAIN, rollout=0.8, rollout_rise=(0.2, 0.6))
        shares = [rollout_share_at(config, done) for done in (0, 0.2, 0.3, 0.5, 0.6, 1)]
        assert shares == pytest.approx([0, 0, 0.2, 0.6, 0.8, 0.8])

    @pytest.mark.parametrize("edge", [0.0, 0.5, 1.0])
    def test_a_rise_may_be_a_step(self, edge):
        config = replace(PLAIN, rollout=0.5, rollout_rise=(edge, edge))
        assert rollout_share_at(config, 0.4) == (0.5 if edge == 0 else 0)
        assert rollout_share_at(config, edge) == 0.5
        assert rollout_share_at(config, 1.0) == 0.5

    def test_teacher_forcing_has_none(self):
        assert rollout_share_at(PLAIN, 1.0) == 0


class TestDefaults:
    @pytest.mark.parametrize("name", CONFIGS)
    def test_every_model_has_them(self, name):
        config = default_config(name, seed=4)
        assert config.model == CONFIGS[name]
        assert config.seed == 4

    def test_a_plan_in_epochs_replaces_one_in_minutes(self):
        assert default_config("classroom").minutes == 2.5
        config = default_config("classroom", epochs=3)
        assert (config.epochs, config.minutes) == (3, None)
        with refused("a plan is made in epochs or in minutes; got both"):
            default_config("classroom", epochs=3, minutes=2.0)

    def test_unknown_models_are_named(self):
        with refused("model must be one of reference, fast, best, leaky, lesson, classroom; got 'slow'"):
            default_config("slow")
