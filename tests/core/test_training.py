"""Training: it learns, it resumes without a seam, and it ends well whatever ends it."""

import errno
import json
import math
import os
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboardX.record_writer import RecordWriter

from core import callbacks, foresight, scorer, training, zoo
from core.callbacks import Follow
from core.inference import Predictor
from core.learning_models import rollout_inputs
from core.losses import CompositeLoss
from core.model import Network
from core.model_config import ModelConfig
from core.runs import Run, RunError, snapshot_name
from core.train_config import TrainConfig, learning_rate_at
from core.training import LearningModel, Trainer, TrainingError, export
from core.weights import load_arrays

TINY = TrainConfig(
    ModelConfig("tiny", (4,), (3,), patch=4, peepholes="channel"),
    epochs=4,
    steps_per_epoch=3,
    batch_size=2,
    frames=4,
    learning_rate=1e-2,
    warmup_steps=2,
    loss={"bce": 1.0},
    precision="float32",
    validation_clips=2,
    context_frames=1,
)
# What a resumed run has to repeat exactly; times differ.
CURVE = ("epoch", "step", "learning_rate", "rollout", "loss", "bce", "perceptual", "gdl")
SCORES = ("val_loss", "val_psnr", "val_ssim")


SCORED_FRAMES = 4


@pytest.fixture(autouse=True)
def short_validation(monkeypatch):
    """A graph of 19 steps is compiled in seconds, one of three in tenths."""
    monkeypatch.setattr(scorer, "VALIDATION_FRAMES", SCORED_FRAMES)


def full_disk(name):
    """In the place of `os.replace`: there is no room for the file of this name."""
    rename = os.replace

    def replaced(source, target):
        if os.fspath(target).endswith(name):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    return replaced


def create(folder, config=TINY):
    run = Run(folder)
    run.create(config)
    return run


def start(folder, config=TINY, **arguments):
    run = create(folder, config)
    trainer = Trainer(config, run, **arguments)
    trainer.fit()
    return run, trainer


def stop_after(trainer, step):
    """Fit, and ask to stop after a step, as a signal would."""
    trainer.fit(lambda progress: trainer.stop("enough") if progress.step == step else None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by configuration and last step, none made before it is asked for; and where to make them."""
    return {}, tmp_path_factory


@pytest.fixture
def begun(runs, tmp_path):
    """Copies of runs: finished, or stopped after a step."""
    made, folders = runs

    def copied(name="run", *, stop=None, config=TINY):
        key = repr(config), stop
        if key not in made:
            made[key] = create(folders.mktemp("made") / "run", config)
            stop_after(Trainer(config, made[key]), stop)
        shutil.copytree(made[key].folder, tmp_path / name)
        return Run(tmp_path / name)

    return copied


def same_curve(run, other, *, rtol=1e-4):
    for kind, names in (("steps", CURVE), ("epochs", (*CURVE, *SCORES))):
        mine, theirs = getattr(run.read_history(), kind), getattr(other.read_history(), kind)
        for name in names:
            np.testing.assert_allclose(mine[name], theirs[name], rtol=rtol, err_msg=f"{kind} {name}")


class TestARun:
    def test_it_learns_and_leaves_everything_behind(self, tmp_path):
        config = replace(TINY, steps_per_epoch=10)
        run, trainer = start(tmp_path / "run", config)
        epochs = run.read_history().epochs
        assert epochs["loss"][-1] < 0.8 * epochs["loss"][0]
        assert epochs["step"].tolist() == [10, 20, 30, 40]
        assert run.read_config() == config
        status = run.read_status()
        assert (status.state, status.step, status.epoch, status.share) == ("finished", 40, 4, 1)
        assert status.steps_per_second > 0
        assert list(run.events_path.glob("events.out.tfevents.*"))
        frames = np.zeros((1, 3, 64, 64, 1), np.float32)
        assert zoo.load(run.folder).next_frames(frames).shape == (1, 2, 64, 64, 1)
        assert trainer.best_psnr == pytest.approx(epochs["val_psnr"].max())

    def test_snapshots_show_the_same_clip_after_each_epoch(self, begun):
        run = begun()
        assert run.snapshot_epochs() == [1, 2, 3, 4]
        truth = run.read_snapshot("truth")
        assert truth.shape == (SCORED_FRAMES, 64, 64)
        first, last = (run.read_snapshot(snapshot_name(epoch)) for epoch in (1, 4))
        assert first.shape == last.shape == (SCORED_FRAMES - 1, 64, 64)
        assert (first != last).any()

    def test_the_last_snapshot_is_what_the_best_weights_predict(self, tmp_path):
        run, _ = start(tmp_path / "run", replace(TINY, epochs=1))
        frames = (run.read_snapshot("truth") / 255).astype(np.float32)[None, ..., None]
        predicted = zoo.load(run.folder, "float32").next_frames(frames)[0, ..., 0]
        np.testing.assert_allclose(run.read_snapshot(snapshot_name(1)) / 255, predicted, atol=0.003)

    def test_step_rows_average_to_the_epoch_row(self, tmp_path):
        run, _ = start(tmp_path / "run", replace(TINY, epochs=2, steps_per_epoch=20))
        history = run.read_history()
        assert history.steps["step"].tolist() == [10, 20, 30, 40]
        means = history.steps["loss"].reshape(2, 2).mean(axis=1)
        np.testing.assert_allclose(history.epochs["loss"], means, rtol=1e-5)

    def test_waiting_for_data_is_a_share(self, begun):
        run = begun()
        waiting = run.read_history().epochs["waiting"]
        assert ((waiting >= 0) & (waiting <= 1)).all()

    def test_progress_is_reported_step_by_step(self, tmp_path):
        run = create(tmp_path)
        seen = []
        Trainer(TINY, run).fit(seen.append)
        assert [progress.step for progress in seen if progress.row is None] == list(range(1, 13))
        assert [progress.row["epoch"] for progress in seen if progress.row] == [1, 2, 3, 4]
        assert seen[-1].share == 1
        assert all(0 < progress.share <= 1 and progress.loss > 0 for progress in seen)

    def test_the_learning_rate_follows_its_schedule(self, tmp_path):
        config = replace(TINY, steps_per_epoch=10, schedule="one-cycle")
        run, _ = start(tmp_path / "run", config)
        steps = run.read_history().steps
        expected = [learning_rate_at(config, step - 1, (step - 1) / 40) for step in steps["step"]]
        np.testing.assert_allclose(steps["learning_rate"], expected, rtol=callbacks.RATE_STEP)

    def test_patience_ends_a_run_that_no_longer_improves(self, tmp_path, monkeypatch):
        scores = iter([10.0, 12.0, 11.0, 11.5, 13.0])
        monkeypatch.setattr(
            scorer.Scorer,
            "scores",
            lambda self, weights: {"val_loss": 1.0, "val_psnr": next(scores), "val_ssim": 0.5},
        )
        run, trainer = start(tmp_path / "run", replace(TINY, epochs=9, patience=2))
        assert run.read_history().epochs["val_psnr"].tolist() == [10, 12, 11, 11.5]
        assert run.read_status().state == "finished"
        assert "No better validation PSNR in the last 2 epochs" in run.read_status().reason
        assert trainer.best_psnr == 12

    def test_scoring_leaves_the_weights_that_learn_exactly_as_they_are(self, tmp_path):
        trainer = Trainer(TINY, create(tmp_path))
        before = [np.asarray(variable).copy() for variable in trainer.model.variables]
        follow = Follow(trainer)
        follow.set_model(trainer.model)
        with follow._scored_weights():
            assert (np.asarray(trainer.model.trainable_variables[0]) == 0).all()  # the average, before a step
        for variable, value in zip(trainer.model.variables, before, strict=True):
            np.testing.assert_array_equal(np.asarray(variable), value)
        follow.close()

    def test_without_an_average_the_weights_that_learn_are_kept(self, tmp_path):
        run, trainer = start(tmp_path / "run", replace(TINY, ema=0.0, epochs=1))
        arrays = load_arrays(run.weights_path)
        for variable in trainer.model.variables:
            np.testing.assert_allclose(arrays[variable.path], np.asarray(variable), rtol=1e-6)

    def test_a_run_can_begin_with_the_weights_of_another(self, begun, tmp_path):
        first = begun("first")
        second = create(tmp_path / "second", replace(TINY, init_from=str(first.folder)))
        trainer = Trainer(second.read_config(), second)
        for name, array in load_arrays(first.weights_path).items():
            mine = next(v for v in trainer.model.variables if v.path == name)
            np.testing.assert_array_equal(np.asarray(mine), array)

    def test_a_run_can_begin_half_way_between_two_others(self, begun, tmp_path):
        one, other = begun("a"), start(tmp_path / "b", replace(TINY, seed=1))[0]
        between = replace(TINY, init_from=str(one.folder), average_with=str(other.folder))
        trainer = Trainer(between, create(tmp_path / "between", between))
        first, second = (load_arrays(run.weights_path) for run in (one, other))
        for variable in trainer.network.variables:
            mean = (first[variable.path] + second[variable.path]) / 2
            np.testing.assert_allclose(np.asarray(variable), mean, rtol=1e-6)

    def test_it_can_begin_with_a_narrower_network_and_predicts_the_same(self, begun, tmp_path):
        first = begun("first")
        wide = replace(TINY.model, name="wide", filters=(6,))
        second = create(tmp_path / "second", replace(TINY, model=wide, init_from=str(first.folder)))
        trainer = Trainer(second.read_config(), second)
        frames = np.random.default_rng(0).uniform(size=(1, 4, 64, 64, 1)).astype(np.float32)
        expected = zoo.load(first.folder, "float32").next_frames(frames)
        np.testing.assert_allclose(Predictor(trainer.network).next_frames(frames), expected, atol=1e-5)

    def test_it_needs_a_plan(self, tmp_path):
        with pytest.raises(ValueError, match="say how long to train"):
            start(tmp_path / "run", replace(TINY, epochs=None))


class TestTheLoss:
    def test_parts_are_metrics_and_add_up(self, tmp_path):
        weights = {"bce": 10.0, "perceptual": 0.1, "gdl": 0.5}
        run, _ = start(tmp_path / "run", replace(TINY, loss=weights, epochs=1))
        epochs = run.read_history().epochs
        total = sum(weight * epochs[name] for name, weight in weights.items())
        np.testing.assert_allclose(epochs["loss"], total, rtol=1e-5)
        assert np.isfinite(epochs["val_loss"]).all()

    def test_a_part_without_weight_is_not_computed(self, tmp_path):
        run, _ = start(tmp_path / "run", replace(TINY, epochs=1))
        assert np.isnan(run.read_history().epochs["perceptual"]).all()

    def test_its_settings_are_the_runs(self, tmp_path):
        settings = {"loss": {"gdl": 1.0, "perceptual": 1.0}, "gdl_alpha": 2.0, "perceptual_layer": "conv1_1"}
        run = create(tmp_path / "run", replace(TINY, **settings))
        composite = Trainer(run.read_config(), run).model.composite
        assert (composite.alpha, composite.layer) == (2.0, "conv1_1")

    def test_the_gradient_is_that_of_the_weighted_sum(self):
        network = Network(TINY.model)
        plain = network.training_model(3)
        model = LearningModel(plain.inputs[0], plain.outputs[0])
        composite = CompositeLoss({"bce": 2.0, "gdl": 1.0})
        model.learn(composite, keras.optimizers.SGD(0.0))
        rng = np.random.default_rng(0)
        frames, truth = rng.uniform(size=(2, 2, 3, 64, 64, 1)).astype(np.float32)
        logs = model.train_on_batch(frames, truth, return_dict=True)
        # train_on_batch normalises over the batch, so the loss is compared on the same pass
        parts = composite.parts(truth, model(frames, training=True))
        assert logs["loss"] == pytest.approx(2 * float(parts["bce"]) + float(parts["gdl"]), rel=1e-4)


class TestOwnPredictions:
    def rolled(self, free, frames, context=2):
        network = Network(TINY.model)
        inputs, predictions = rollout_inputs(network, frames.shape[1], context)
        model = keras.Model(inputs, predictions)
        return network, np.asarray(model([frames, np.asarray(free, np.float32)[:, None]]))

    def frames(self, clips=3, time=5):
        return np.random.default_rng(1).uniform(size=(clips, time, 64, 64, 1)).astype(np.float32)

    def test_without_free_clips_every_frame_is_seen(self):
        frames = self.frames()
        network, predictions = self.rolled([0, 0, 0], frames)
        expected = Predictor(network).next_frames(frames)
        np.testing.assert_allclose(predictions[:, :-1], expected, atol=1e-5)

    def test_a_free_clip_continues_as_a_rollout_does(self):
        frames = self.frames()
        network, predictions = self.rolled([0, 1, 0], frames)
        seen = Predictor(network).next_frames(frames)
        np.testing.assert_allclose(predictions[[0, 2], :-1], seen[[0, 2]], atol=1e-5)
        np.testing.assert_allclose(predictions[1, :1], seen[1, :1], atol=1e-5)
        expected = Predictor(network).rollout(frames[1:2, :2], 4)
        np.testing.assert_allclose(predictions[1, 1:], expected[0], atol=1e-5)

    def test_the_gradient_goes_back_through_what_was_fed_in(self):
        """The error of the last frame alone must reach the picture that was predicted before it."""
        network = Network(TINY.model)
        inputs, predictions = rollout_inputs(network, 3, 2)
        model = keras.Model(inputs, predictions)
        frames = tf.constant(self.frames(1, 3))
        bias = next(v for v in model.trainable_variables if v.path == "head/bias")
        slopes = {}
        for free in (0.0, 1.0):
            with tf.GradientTape() as tape:
                last = tf.reduce_mean(model([frames, tf.constant([[free]])])[:, -1])
            slopes[free] = float(tape.gradient(last, bias.value)[0])
        assert abs(slopes[1.0] - slopes[0.0]) > 1e-3 * abs(slopes[0.0])

    def test_context_leaves_a_frame_to_predict(self):
        with pytest.raises(ValueError, match="context must be 1 to 2, below time; got 3"):
            rollout_inputs(Network(TINY.model), 3, 3)

    def test_a_run_learns_from_its_own_predictions(self, tmp_path):
        config = replace(TINY, rollout=1.0, rollout_rise=(0.0, 0.5), steps_per_epoch=10)
        run, _ = start(tmp_path / "run", config)
        history = run.read_history()
        assert history.epochs["rollout"].tolist() == [0.5, 1, 1, 1]
        assert history.epochs["loss"][-1] < 0.8 * history.epochs["loss"][0]
        assert zoo.load(run.folder).rollout(self.frames(1, 3), 2).shape == (1, 2, 64, 64, 1)

    def test_a_forecast_learns_alone(self, tmp_path):
        model = replace(TINY.model, motions=1, match=(1,), forecast=16)
        settings = {"learn": "forecast", "context_frames": 2, "frames": 5, "loss": {"mse": 1.0}}
        run = create(tmp_path / "run", replace(TINY, model=model, epochs=2, steps_per_epoch=4, **settings))
        trainer = Trainer(run.read_config(), run)
        before = {variable.path: np.asarray(variable).copy() for variable in trainer.network.variables}
        trainer.fit()
        history = run.read_history()
        assert history.epochs["loss"][-1] < history.epochs["loss"][0]
        weights = load_arrays(run.weights_path)
        assert set(weights) == set(before)
        changed = {path.split("/")[0] for path in weights if (weights[path] != before[path]).any()}
        assert changed == {"outlook", "outlook_step", "forecast"}
        assert zoo.load(run.folder).rollout(self.frames(1, 3), 2).shape == (1, 2, 64, 64, 1)

        other = replace(TINY, model=replace(model, filters=(2,)), forecast_from=str(run.folder), seed=1)
        after = Trainer(other, create(tmp_path / "other", other)).network.variables
        for variable in after:
            if variable.path.split("/")[0] in changed:
                np.testing.assert_array_equal(np.asarray(variable), weights[variable.path])

    @pytest.mark.parametrize(
        ("learn", "learning"),
        [("forecast", {"outlook", "outlook_step", "forecast", "trust"}), ("trust", {"trust"})],
    )
    def test_in_rollouts_a_forecast_and_the_trust_in_it_learn_and_nothing_else(
        self, eagerly, tmp_path, learn, learning
    ):
        model = replace(
            TINY.model,
            motions=1,
            match=(1,),
            encode=(1,),
            others=True,
            forecast=16,
            foresees=learn == "trust",
        )
        settings = {"learn": learn, "context_frames": 2, "frames": 5, "rollout": 1.0, "epochs": 1}
        run = create(tmp_path / "run", replace(TINY, model=model, rollout_rise=(0.0, 0.0), **settings))
        trainer = Trainer(run.read_config(), run)
        before = {variable.path: np.asarray(variable).copy() for variable in trainer.network.variables}
        trainer.fit()
        weights = load_arrays(run.weights_path)
        changed = {path.split("/")[0] for path in weights if (weights[path] != before[path]).any()}
        assert changed == learning

    def test_a_network_learns_without_its_forecast(self, tmp_path):
        model = replace(TINY.model, motions=1, match=(1,), forecast=16, foresees=True)
        run = create(tmp_path / "run", replace(TINY, model=model, learn="network"))
        trainer = Trainer(run.read_config(), run)
        before = {variable.path: np.asarray(variable).copy() for variable in trainer.network.variables}
        trainer.fit()
        weights = load_arrays(run.weights_path)
        assert set(weights) == set(before)
        changed = {path.split("/")[0] for path in weights if (weights[path] != before[path]).any()}
        assert {"head", "motion"} < changed
        assert not changed & {"outlook", "outlook_step", "forecast", "trust", "foresight"}

    def test_a_foresight_learns_alone_from_clips_that_were_predicted_once(
        self, eagerly, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(foresight, "KNOWN_CLIPS", 16)
        model = replace(TINY.model, motions=1, match=(1,), forecast=16, foresees=True)
        settings = {"learn": "foresight", "loss": {"log_mse": 1.0}, "steps_per_epoch": 10}
        run = create(tmp_path / "run", replace(TINY, model=model, epochs=2, **settings))
        trainer = Trainer(run.read_config(), run)
        before = {variable.path: np.asarray(variable).copy() for variable in trainer.network.variables}
        trainer.fit()
        epochs = run.read_history().epochs
        assert epochs["loss"][-1] < epochs["loss"][0]
        np.testing.assert_array_equal(epochs["log_mse"], epochs["loss"])
        weights = load_arrays(run.weights_path)
        changed = {path.split("/")[0] for path in weights if (weights[path] != before[path]).any()}
        assert changed == {"foresight"}

    def test_a_foresight_that_is_told_to_stop_predicts_no_more_clips(self, eagerly, tmp_path, monkeypatch):
        model = replace(TINY.model, motions=1, match=(1,), forecast=16, foresees=True)
        run = create(tmp_path / "run", replace(TINY, model=model, learn="foresight"))
        trainer = Trainer(run.read_config(), run)
        asked = []
        monkeypatch.setattr(
            foresight,
            "training_batch",
            lambda *_, **__: asked.append(run.request_stop()) or np.zeros((8, 4, 64, 64), np.uint8),
        )
        trainer.fit()
        assert len(asked) == 1
        status = run.read_status()
        assert (status.state, status.reason, status.step) == ("stopped", "Stopped by request.", 0)


class TestResume:
    def test_after_a_stop_between_epochs_the_curve_has_no_seam(self, begun):
        whole = begun("whole")
        run = begun(stop=6)
        assert run.read_status().state == "stopped"
        assert run.read_status().epoch == 2
        Trainer(TINY, run, resume=True).fit()
        same_curve(run, whole)
        assert run.read_status().state == "finished"

    def test_after_stops_within_epochs_the_curve_has_no_seam(self, begun, tmp_path):
        config = replace(TINY, steps_per_epoch=14, epochs=2, rollout=1.0, frames=5)
        whole = begun("whole", config=config)
        run = create(tmp_path / "parts", config)
        for stop in (1, 2, 11, 27):  # one after the other, after a row, before the end
            stop_after(Trainer(config, run, resume=True), stop)
            assert run.read_status().step == stop
        Trainer(config, run, resume=True).fit()
        same_curve(run, whole)

    def test_the_weights_are_those_of_an_uninterrupted_run(self, begun):
        whole = begun("whole")
        run = begun(stop=5)
        Trainer(TINY, run, resume=True).fit()
        mine, theirs = load_arrays(run.weights_path), load_arrays(whole.weights_path)
        for name, array in theirs.items():
            np.testing.assert_allclose(mine[name], array, rtol=1e-3, atol=1e-5, err_msg=name)

    def test_a_run_without_a_checkpoint_begins_at_its_start(self, begun, tmp_path):
        whole = begun("whole")
        run = create(tmp_path / "run")
        run.append_history("step", {"epoch": 1, "step": 2, "loss": 9.0})  # of a process that was killed
        Trainer(TINY, run, resume=True).fit()
        same_curve(run, whole)

    def test_rows_after_the_checkpoint_are_made_again(self, begun):
        whole = begun("whole")
        run = begun(stop=6)
        run.append_history("epoch", {"epoch": 3, "step": 9, "loss": 9.0})
        with run.history_path.open("a") as file:
            file.write("step,4,10,0.0")  # torn
        Trainer(TINY, run, resume=True).fit()
        same_curve(run, whole)

    def test_a_finished_run_stays_as_it_is(self, begun):
        run = begun()
        before = run.history_path.read_bytes()
        Trainer(TINY, run, resume=True).fit()
        assert run.history_path.read_bytes() == before

    def test_a_longer_plan_goes_on(self, begun):
        run = begun()
        Trainer(replace(TINY, epochs=6), run, resume=True).fit()
        assert run.read_history().epochs["epoch"].tolist() == [1, 2, 3, 4, 5, 6]

    def test_the_learning_rate_goes_on_where_it_was(self, begun, tmp_path):
        """It moves in small jumps, whose places a resumed run must not shift."""
        config = replace(TINY, epochs=2, steps_per_epoch=120, warmup_steps=3)
        whole = begun("whole", config=config)
        run = create(tmp_path / "run", config)
        stop_after(Trainer(config, run), 121)
        Trainer(config, run, resume=True).fit()
        rates, expected = (each.read_history().steps["learning_rate"] for each in (run, whole))
        np.testing.assert_allclose(rates, expected, rtol=1e-6)

    def test_a_lost_checkpoint_does_not_cost_the_curve(self, begun):
        run = begun()
        before = run.history_path.read_bytes()
        run.checkpoint_path.unlink()
        with pytest.raises(RunError, match=r"last\.npz of run is missing, so it cannot go on"):
            Trainer(TINY, run, resume=True)
        assert run.history_path.read_bytes() == before

    def test_an_epoch_that_was_begun_is_not_shortened(self, begun):
        run = begun(stop=5)
        with pytest.raises(ValueError, match="steps per epoch must be above 2.*; got 2"):
            Trainer(replace(TINY, steps_per_epoch=2, epochs=9), run, resume=True)

    def test_another_seed_is_refused(self, begun):
        run = begun()
        with pytest.raises(ValueError, match="was begun with seed 0, and goes on with it; got 7"):
            Trainer(replace(TINY, seed=7), run, resume=True)

    def test_another_network_is_refused(self, begun):
        run = begun()
        other = replace(TINY, model=replace(TINY.model, filters=(5,)))
        with pytest.raises(ValueError, match="is of another network"):
            Trainer(other, run, resume=True)


class TestMinutes:
    def test_the_end_of_a_plan_in_minutes_is_scored_and_saved(self, tmp_path):
        config = replace(TINY, epochs=None, minutes=0.03, steps_per_epoch=10_000)
        run, _ = start(tmp_path / "run", config)
        epochs = run.read_history().epochs
        assert len(epochs["step"]) == 1
        assert 0 < epochs["step"][0] < 10_000
        assert run.read_status().state == "finished"
        assert run.weights_path.is_file()

    def test_the_end_of_a_call_saves_and_leaves_the_plan(self, tmp_path):
        config = replace(TINY, epochs=1, steps_per_epoch=100_000)
        run, _ = start(tmp_path / "run", config, max_minutes=0.03)
        status = run.read_status()
        assert status.state == "stopped"
        assert "The 0.03 minutes of this call are over" in status.reason
        assert run.checkpoint_state()["step"] == status.step > 0
        assert run.weights_path.is_file()

    def test_the_stop_file_ends_a_run(self, tmp_path):
        run = create(tmp_path / "run")
        Trainer(TINY, run).fit(lambda progress: run.request_stop() if progress.step == 2 else None)
        status = run.read_status()
        assert (status.state, status.reason) == ("stopped", "Stopped by request.")
        assert status.step in (2, 3)


class TestFaults:
    def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_weights(self, begun):
        run = begun(stop=6)
        good = run.weights_path.read_bytes(), run.checkpoint_path.read_bytes()
        wild = replace(TINY, learning_rate=1e38, warmup_steps=0, schedule="constant", epochs=20)
        with pytest.raises(TrainingError, match=r"not finite at step \d+ \(epoch \d: .*learning rate"):
            Trainer(wild, run, resume=True).fit()
        assert (run.weights_path.read_bytes(), run.checkpoint_path.read_bytes()) == good
        assert run.read_status().state == "failed"
        assert "the weights after epoch" in run.read_status().reason
        Trainer(TINY, run, resume=True).fit()
        assert run.read_status().state == "finished"

    @pytest.mark.parametrize("stop", [2, 3])
    def test_weights_that_are_not_finite_are_never_saved(self, tmp_path, stop):
        """A step can break the weights although its own loss was finite."""
        run = create(tmp_path / "run")
        trainer = Trainer(TINY, run)

        def breaks(progress):
            if progress.step == stop and progress.row is None:
                weight = trainer.model.trainable_variables[0]
                weight.assign(np.full(weight.shape, np.nan, np.float32))
                trainer.stop("enough")

        with pytest.raises(TrainingError, match=f"a weight is not finite at step {stop} "):
            trainer.fit(breaks)
        assert not run.checkpoint_path.exists()
        assert not run.weights_path.exists()
        assert run.read_status().state == "failed"

    def test_a_disk_that_is_full_for_events_ends_the_training(self, tmp_path, monkeypatch):
        run = create(tmp_path / "run")
        trainer = Trainer(replace(TINY, steps_per_epoch=30), run)
        write, written = RecordWriter.write, []

        def full(writer, data):
            if len(written) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written.append(data)
            write(writer, data)

        monkeypatch.setattr(RecordWriter, "write", full)
        with pytest.raises(TrainingError, match="could not be saved .No space left on device"):
            trainer.fit()

    @pytest.mark.parametrize("name", ["last.npz", "weights.npz", "status.json"])
    def test_a_full_disk_leaves_the_old_checkpoint_whole(self, begun, monkeypatch, name):
        whole = begun("whole")
        run = begun(stop=6)
        before = run.checkpoint_path.read_bytes()
        trainer = Trainer(TINY, run, resume=True)
        with monkeypatch.context() as patch:
            patch.setattr(callbacks, "HEARTBEAT_SECONDS", 0.0)
            patch.setattr("core.weights.os.replace", full_disk(name))
            with pytest.raises(TrainingError, match="could not be saved .No space left on device"):
                trainer.fit()
        assert run.checkpoint_path.read_bytes() == before
        assert not list(run.folder.glob(f".{name}.*"))
        Trainer(TINY, run, resume=True).fit()
        same_curve(run, whole)

    @pytest.mark.parametrize("name", ["last.npz", "weights.npz"])
    def test_a_disk_that_is_full_in_the_first_epoch_leaves_a_run_that_can_go_on(
        self, begun, tmp_path, monkeypatch, name
    ):
        whole = begun("whole")
        run = create(tmp_path / "run")
        with monkeypatch.context() as patch:
            patch.setattr("core.weights.os.replace", full_disk(name))
            with pytest.raises(TrainingError, match="--resume goes on from there"):
                Trainer(TINY, run).fit()
        status = run.read_status()
        assert (status.state, status.epoch) == ("failed", 0)
        Trainer(TINY, run, resume=True).fit()
        same_curve(run, whole)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"standard_share": 0.9},
                "standard share must stay 0.5, as run's best epoch is chosen by it; got 0.9",
            ),
            ({"digits": 3}, "digits must stay None, as run's best epoch is chosen by it; got 3"),
            ({"validation_clips": 3}, "validation clips must stay 2, .*; got 3"),
            (
                {"rollout": 1.0, "rollout_rise": (0.0, 0.0)},
                "kind of validation must stay next-frame, .*; got rollouts after 1 frames",
            ),
        ],
    )
    def test_the_best_epoch_is_not_looked_for_among_scores_of_two_kinds(self, begun, changes, message):
        run = begun(stop=6)
        with pytest.raises(ValueError, match=f"{message}.*begins from here with --init-from"):
            Trainer(replace(TINY, **changes), run, resume=True)
        Trainer(replace(TINY, loss={"mse": 1.0}), run, resume=True)

    def test_an_error_in_the_data_reaches_the_caller(self, tmp_path, monkeypatch):
        def broken(config, step, share):
            raise RuntimeError("no such clip")

        monkeypatch.setattr(training, "batch", broken)
        run = create(tmp_path / "run")
        with pytest.raises(Exception, match="no such clip"):
            Trainer(TINY, run).fit()


def test_export_keeps_so_many_bits(begun, tmp_path):
    run = begun()
    arrays = []
    for bits in (5, None):
        export(run, tmp_path / "shipped", bits=bits)
        arrays.append(load_arrays(tmp_path / "shipped" / "weights.npz"))
    for path, array in arrays[1].items():
        np.testing.assert_allclose(arrays[0][path], array, rtol=2**-5)
    assert any((arrays[0][path] != array).any() for path, array in arrays[1].items())


def test_export_rounds_to_float16(begun, tmp_path):
    run = begun()
    export(run, tmp_path / "shipped")
    arrays = load_arrays(tmp_path / "shipped" / "weights.npz")
    assert {array.dtype for array in arrays.values()} == {np.dtype("float16")}
    frames = np.random.default_rng(0).uniform(size=(1, 5, 64, 64, 1)).astype(np.float32)
    exact, rounded = (zoo.load(folder).next_frames(frames) for folder in (run.folder, tmp_path / "shipped"))
    np.testing.assert_allclose(exact, rounded, atol=5e-3)


def test_the_checkpoint_is_a_plain_file_of_arrays(tmp_path):
    run, trainer = start(tmp_path / "run", replace(TINY, epochs=1))
    arrays = load_arrays(run.checkpoint_path)
    state = json.loads(arrays["state"].tobytes())
    assert (state["step"], state["epoch"], state["epoch_step"]) == (3, 1, 0)
    assert all(math.isfinite(value) for array in arrays.values() for value in array.ravel()[:10])
    assert trainer.step == 3
