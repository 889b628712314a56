"""The command line of training: options, one-line errors, signals, locks, kills, the other backend."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import train
from core import precision, scorer, zoo
from core.model_config import CONFIGS, ModelConfig
from core.run_list import describe
from core.run_locks import training_lock
from core.run_status import Status
from core.runs import Run
from core.train_config import TrainConfig, default_config
from core.training import Trainer
from core.weights import load_arrays, save_arrays
from tests.kill import kill_and_resume

ROOT = Path(__file__).resolve().parents[1]
TINY = TrainConfig(
    ModelConfig("tiny", (3,), (3,), patch=4, peepholes="channel"),
    epochs=1,
    steps_per_epoch=3,
    batch_size=1,
    frames=3,
    loss={"bce": 1.0},
    precision="float32",
    validation_clips=1,
)
KILLS = 3
PATIENCE_SECONDS = 120


@pytest.fixture(autouse=True)
def short_validation(monkeypatch):
    monkeypatch.setattr(scorer, "VALIDATION_FRAMES", 3)


def process(run, **environment):
    """train.py on a run, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "--run-dir", str(run.folder), "--resume"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.05)


def raising(error):
    """A function that fails."""

    def fail(*_, **__):
        raise error

    return fail


def exhausted():
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\n a tensor")


class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["--model", "slow"],
                "model must be one of reference, fast, best, leaky, lesson, classroom; got 'slow'",
            ),
            (["--epochs", "0"], "epochs must be a whole number, 1 or more; got 0"),
            (["--max-minutes", "-1"], "--max-minutes must be a number above 0; got -1.0"),
            (["--max-minutes", "inf"], "--max-minutes must be a number above 0; got inf"),
            (["--plan-minutes", "0"], "minutes must be above 0; got 0.0"),
            (["--epochs", "2", "--plan-minutes", "3"], "a plan is made in epochs or in minutes"),
            (["--loss", "bce=1,vgg=2"], "loss must be made of bce, mse, log_mse, perceptual, gdl; got vgg"),
            (["--loss", "bce=x"], "loss must look like bce=10,gdl=0.1, each part once; got 'bce=x'"),
            (["--loss", "bce=1,bce=2"], "each part once; got 'bce=1,bce=2'"),
            (["--loss", "bce=1,"], "each part once; got 'bce=1,'"),
            (["--loss", ""], "each part once; got ''"),
            (["--digits", "None"], "digits must be a number or mixed; got 'None'"),
            (["--digits", "4"], "digits must be 1 to 3; got 4"),
            (["--resume"], "holds no run"),
            (["--seed", "-1"], "seed must be a whole number, 0 to 4294967295; got -1"),
            (["--seed", "4294967296"], "seed must be a whole number, 0 to 4294967295; got 4294967296"),
            (["--frames", "201"], "frames must be a whole number, 2 to 200; got 201"),
            (["--model", "leaky", "--rollout", "1"], "rollout must be 0 with leaky"),
            (["--run-dir", ""], "argument --run-dir: must name a file or folder; got empty text"),
            (["--export", ""], "argument --export: must name a file or folder; got empty text"),
            (["--init-from", ""], "unknown model ''; shipped are"),
            (["--epoch", "3"], "unrecognized arguments: --epoch 3"),
            (["--schedule", "steps"], "schedule must be one of cosine, one-cycle, constant; got 'steps'"),
            (["--gdl-alpha", "0.5"], "gdl alpha must be 1 or more; got 0.5"),
            (["--perceptual-layer", "conv9"], "perceptual layer must be one of conv1_1, conv1_2,"),
            (["--ema", "1"], "ema must be 0 or more and below 1; got 1.0"),
            (["--rollout", "1.5"], "rollout must be 0 to 1; got 1.5"),
            (["--rollout", "1", "--rollout-rise", "0.5"], "rollout rise must be two shares"),
            (["--rollout", "1", "--rollout-rise", "a,b"], "rollout rise must look like 0.1,0.7; got 'a,b'"),
            (["--rollout", "1", "--frames", "6"], "context frames must be 4 or less"),
            (["--init-from", "nobody"], "nobody"),
            (["--init-from", "reference"], "fast cannot begin with the weights of reference"),
            (
                ["--init-from", "fast", "--average-with", "best"],
                "best is not of the architecture fast",
            ),
            (
                ["--model", "best", "--forecast-from", "reference"],
                "reference has no forecast that best could begin with",
            ),
            (["--precision", "int8"], "precision must be one of auto, float32, mixed_bfloat16; got 'int8'"),
        ],
    )
    def test_bad_input_is_one_line_and_status_2(self, tmp_path, capsys, arguments, message):
        assert train.main(["--run-dir", str(tmp_path / "runs" / "run"), *arguments]) == 2
        error = capsys.readouterr().err.strip()
        assert message in error
        assert "\n" not in error
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_backend_is_told_before_anything_is_made(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("KERAS_BACKEND", "foo")
        assert train.main(["--run-dir", str(tmp_path / "runs" / "run")]) == 2
        told = "train.py: KERAS_BACKEND must be tensorflow or jax; got 'foo'\n"
        assert capsys.readouterr().err == told
        assert list(tmp_path.iterdir()) == []

    def test_exit_statuses_are_in_the_help(self):
        text = " ".join(train.build_parser().format_help().split())
        assert "a second Ctrl-C ends at once" in text
        assert "130 when interrupted before it could save" in text

    def test_defaults_in_the_help_are_those_of_the_models(self):
        assert train.default_text("steps_per_epoch") == "(default: 250, classroom 50)"
        assert train.default_text("loss") == ("(default: bce=1, reference bce=10,perceptual=0.1,gdl=0.1)")

    def test_help_says_all_of_it(self, capsys):
        with pytest.raises(SystemExit) as ended:
            train.main(["--help"])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert all(f"--{name.replace('_', '-')}" in text for name in train.SETTINGS)
        assert all(name in text for name in CONFIGS)

    def config(self, *options):
        return train.new_config(train.build_parser().parse_args(options))

    def test_without_a_plan_there_are_twenty_epochs(self):
        assert self.config("--model", "fast").epochs == 20

    def test_minutes_of_the_call_are_the_plan_where_there_is_no_other(self):
        config = self.config("--max-minutes", "9")
        assert (config.epochs, config.minutes) == (None, 9)

    def test_a_plan_can_be_longer_than_a_call(self):
        config = self.config("--max-minutes", "9", "--plan-minutes", "27")
        assert config.minutes == 27
        assert self.config("--max-minutes", "9", "--epochs", "5").epochs == 5

    def test_the_described_loss_is_that_of_the_described_model(self):
        assert self.config("--model", "reference").loss == {"bce": 10, "perceptual": 0.1, "gdl": 0.1}
        assert self.config("--loss", "bce=2,gdl=1").loss == {"bce": 2, "gdl": 1}

    def test_a_second_start_in_the_same_folder_is_refused(self, tmp_path, capsys):
        Run(tmp_path).create(TINY)
        assert train.main(["--run-dir", str(tmp_path), "--epochs", "1"]) == 2
        assert "holds a run already" in capsys.readouterr().err

    def test_another_model_is_not_resumed(self, tmp_path, capsys):
        Run(tmp_path).create(TINY)
        assert train.main(["--run-dir", str(tmp_path), "--resume", "--model", "fast"]) == 2
        assert "is a run of tiny; got --model fast" in capsys.readouterr().err


class TestCalls:
    def test_a_few_steps_from_start_to_resume_to_export(self, tmp_path, capsys):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 0
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 0
        assert "a is finished; give it more with --epochs" in capsys.readouterr().out
        # a run that was killed between its last step and saying so
        run.write_status(replace(run.read_status(), state="running"))
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 0
        assert run.read_status().state == "finished"
        capsys.readouterr()
        shipped = tmp_path / "shipped"
        again = ["--run-dir", str(run.folder), "--resume", "--epochs", "2", "--export", str(shipped)]
        assert train.main(again) == 0
        assert "finished after 6 steps" in capsys.readouterr().out
        assert (shipped / "weights.npz").is_file()
        calls = [json.loads(line) for line in (run.folder / "calls.jsonl").read_text().splitlines()]
        assert [call["from_step"] for call in calls] == [0, 3]
        assert calls[1]["changes"] == {"epochs": 2}
        assert calls[1]["command"].startswith("python train.py --run-dir")
        assert "epoch 2: validation PSNR" in "\n".join(run.log_tail())

    def test_a_finished_run_is_exported_where_asked(self, tmp_path, capsys):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 0
        capsys.readouterr()
        again = ["--run-dir", str(run.folder), "--resume", "--export", str(tmp_path / "shipped")]
        assert train.main(again) == 0
        assert f"exported to {tmp_path / 'shipped'}" in capsys.readouterr().out
        assert zoo.config_of(tmp_path / "shipped") == TINY.model
        assert set(load_arrays(tmp_path / "shipped" / "weights.npz")) == set(load_arrays(run.weights_path))
        run.weights_path.unlink()
        assert train.main(again) == 1
        error = capsys.readouterr().err
        assert "trained, but not exported: weights file" in error
        assert error.count("\n") == 1

    @pytest.mark.parametrize("option", ["--init-from", "--forecast-from"])
    def test_a_run_that_was_begun_takes_no_other_beginning(self, tmp_path, capsys, option):
        run = Run(tmp_path / "runs" / "a")
        shutil.copytree(zoo.FOLDER / "best", tmp_path / "known")
        config = replace(default_config("best"), epochs=2)
        field = option[2:].replace("-", "_")
        run.create(replace(config, **{field: str(tmp_path / "known")}))
        state = {"step": 1, "epoch": 0, "epoch_step": 1, "minutes": 0.1}
        save_arrays(run.checkpoint_path, {"state": np.frombuffer(json.dumps(state).encode(), np.uint8)})
        go_on = ["--run-dir", str(run.folder), "--resume", option]
        assert train.main([*go_on, "fast"]) == 2
        error = capsys.readouterr().err
        assert f"{option} is for a run that begins" in error
        assert f"it was begun with {tmp_path / 'known'}, got fast" in error
        assert error.count("\n") == 1
        train.resumed_config(train.build_parser().parse_args([*go_on, str(tmp_path / "known")]), run)
        run.checkpoint_path.unlink()  # then it does begin
        assert getattr(train.resumed_config(train.build_parser().parse_args([*go_on, "fast"]), run), field)

    def test_what_cannot_be_exported_to_is_said_before_anything_is_learned(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        options = ["--run-dir", str(tmp_path / "a"), "--epochs", "1", "--export", str(tmp_path / "file")]
        assert train.main(options) == 2
        assert "export must name a folder" in capsys.readouterr().err
        assert not (tmp_path / "a").exists()
        assert train.main(["--run-dir", str(tmp_path / "a"), "--export", str(tmp_path / "." / "a")]) == 2
        assert "export would overwrite the own weights of the run" in capsys.readouterr().err
        assert not (tmp_path / "a").exists()

    @pytest.mark.parametrize(
        ("name", "what"), [("config.json", "a run"), ("card.json", "a model with its card")]
    )
    def test_weights_of_others_are_not_exported_over(self, tmp_path, capsys, name, what):
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / name).write_text("{}")
        options = ["--run-dir", str(tmp_path / "a"), "--epochs", "1", "--export", str(tmp_path / "kept")]
        assert train.main(options) == 2
        assert f"would overwrite the weights of {what} in {tmp_path / 'kept'}" in capsys.readouterr().err

    def test_a_plan_that_would_end_before_where_a_run_stands_is_refused(self, tmp_path, capsys):
        run = Run(tmp_path / "runs" / "a")
        run.create(replace(TINY, epochs=50))
        state = {"step": 51, "epoch": 17, "epoch_step": 0, "minutes": 0.1}
        save_arrays(run.checkpoint_path, {"state": np.frombuffer(json.dumps(state).encode(), np.uint8)})
        run.write_status(Status("stopped", step=51))
        assert train.main(["--run-dir", str(run.folder), "--resume", "--epochs", "1"]) == 2
        error = capsys.readouterr().err
        assert "a stands after step 51, and with these options its plan would end before" in error
        assert run.read_status().state == "stopped"

    def test_a_class_may_learn_from_the_mixture(self):
        parse = train.build_parser().parse_args
        assert train.new_config(parse(["--model", "classroom"])).digits == 1
        assert train.new_config(parse(["--model", "classroom", "--digits", "mixed"])).digits is None
        assert train.new_config(parse(["--model", "classroom", "--digits", "2"])).digits == 2

    def test_a_finished_run_takes_a_new_plan_in_minutes(self, tmp_path):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 0
        assert train.main(["--run-dir", str(run.folder), "--resume", "--max-minutes", "0.02"]) == 0
        config, status = run.read_config(), run.read_status()
        assert config.epochs is None
        assert config.plan_from_minutes > 0
        assert status.state == "finished"
        assert status.step > 3

    def test_a_refused_change_leaves_the_run_as_it_was(self, tmp_path, capsys):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 0
        before, status = run.read_config(), run.read_status()
        assert status.state == "finished"
        for changes, message in (
            (["--seed", "1"], "was begun with seed 0"),
            (["--optimizer", "muon"], "is of another network or optimizer"),
            (["--ema", "0"], "is of another network or optimizer"),
        ):
            assert train.main(["--run-dir", str(run.folder), "--resume", "--epochs", "2", *changes]) == 2
            assert message in capsys.readouterr().err
            assert run.read_config() == before
            assert run.read_status() == status
            assert message in run.log_tail(1)[0]
        assert train.main(["--run-dir", str(run.folder), "--resume", "--epochs", "2"]) == 0

    def test_a_change_is_told_and_kept(self, tmp_path, capsys):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 0
        again = ["--epochs", "2", "--learning-rate", "0.25", "--batch-size", str(TINY.batch_size)]
        assert train.main(["--run-dir", str(run.folder), "--resume", *again]) == 0
        assert f"from here on learning rate is 0.25; it was {TINY.learning_rate}" in capsys.readouterr().out
        first, second = map(json.loads, (run.folder / "calls.jsonl").read_text().splitlines())
        assert first["was"] == {}
        assert second["was"] == {"epochs": TINY.epochs, "learning_rate": TINY.learning_rate}

    def test_a_damaged_checkpoint_is_named(self, tmp_path, capsys):
        Run(tmp_path).create(TINY)
        (tmp_path / "last.npz").write_bytes(b"torn")
        assert train.main(["--run-dir", str(tmp_path), "--resume"]) == 2
        assert "is damaged" in capsys.readouterr().err

    def test_a_failure_is_one_line_and_status_1(self, tmp_path, capsys):
        run = Run(tmp_path / "runs" / "a")
        run.create(
            replace(
                TINY, learning_rate=1e38, warmup_steps=0, schedule="constant", steps_per_epoch=50, frames=4
            )
        )
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 1
        error = capsys.readouterr().err.strip()
        assert "the loss is not finite at step" in error
        assert "\n" not in error
        assert describe(run).state == "failed"

    @pytest.mark.parametrize(("error", "status"), [(ValueError("odd"), 2), (MemoryError("too large"), 1)])
    def test_what_keeps_a_run_from_beginning_is_in_its_folder(self, tmp_path, monkeypatch, error, status):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        monkeypatch.setattr(Trainer, "__init__", raising(error))
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == status
        entry = describe(run)
        assert entry.state == "failed"
        assert str(error) in entry.reason

    def test_a_mistake_of_the_program_keeps_its_traceback(self, tmp_path, monkeypatch):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        monkeypatch.setattr(Trainer, "__init__", raising(ZeroDivisionError("odd")))
        with pytest.raises(ZeroDivisionError):
            train.main(["--run-dir", str(run.folder), "--resume"])
        assert describe(run).reason == "ended with ZeroDivisionError: odd"

    @pytest.mark.parametrize("error", [MemoryError("Unable to allocate 37.3 TiB"), exhausted()])
    @pytest.mark.parametrize("place", ["_build", "_batch"])
    def test_memory_that_does_not_suffice_is_one_line_and_leaves_no_new_run(
        self, tmp_path, monkeypatch, capsys, error, place
    ):
        monkeypatch.setattr(Trainer, place, raising(error))
        monkeypatch.setitem(CONFIGS, "fast", TINY.model)
        assert train.main(["--run-dir", str(tmp_path / "runs" / "a"), "--validation-clips", "1"]) == 1
        told = capsys.readouterr().err
        assert told.startswith("train.py: memory does not suffice (")
        assert "a smaller batch size" in told
        assert told.count("\n") == 1
        assert list(tmp_path.iterdir()) == []

    def test_memory_that_does_not_suffice_leaves_a_finished_run_as_it_was(self, tmp_path, monkeypatch):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 0
        before = run.read_config(), run.read_status()
        monkeypatch.setattr(Trainer, "_batch", raising(MemoryError()))
        more = ["--epochs", "2", "--batch-size", "1000000"]
        assert train.main(["--run-dir", str(run.folder), "--resume", *more]) == 1
        assert (run.read_config(), run.read_status()) == before

    def test_a_new_run_that_fails_later_stays(self, tmp_path, monkeypatch):
        run = Run(tmp_path / "a")
        make, made = Trainer._batch, []

        def batch(trainer, step):
            made.append(step)
            if step == 2:
                raise MemoryError
            return make(trainer, step)

        monkeypatch.setattr(Trainer, "_batch", batch)
        monkeypatch.setitem(CONFIGS, "fast", TINY.model)
        small = ["--batch-size", "1", "--frames", "3", "--epochs", "1", "--validation-clips", "1"]
        assert train.main(["--run-dir", str(run.folder), *small]) == 1
        status = run.read_status()
        assert (status.state, 2 in made) == ("failed", True)
        assert "memory does not suffice" in status.reason

    def test_what_keras_lacks_is_one_line(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(precision, "gpus", raising(ImportError("No module named 'jaxlib'")))
        assert train.main(["--run-dir", str(tmp_path / "runs" / "a"), "--epochs", "1"]) == 2
        assert capsys.readouterr().err == (
            "train.py: Keras cannot be loaded: No module named 'jaxlib'; pip install -r requirements.txt "
            "(tensorflow) or requirements-cluster.txt (jax)\n"
        )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("steps", [0, 2])
    def test_what_is_interrupted_twice_has_a_reason(self, tmp_path, monkeypatch, capsys, steps):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)

        def fit(trainer, report):
            trainer.step += steps
            raise KeyboardInterrupt

        monkeypatch.setattr(Trainer, "fit", fit)
        assert train.main(["--run-dir", str(run.folder), "--resume"]) == 130
        assert "interrupted; what was saved before is intact" in capsys.readouterr().err
        reason = "twice, before it could save" if steps else "before its first step"
        assert run.read_status().reason == f"interrupted {reason}"
        new = tmp_path / "runs" / "b"
        monkeypatch.setitem(CONFIGS, "fast", TINY.model)
        assert train.main(["--run-dir", str(new)]) == 130
        assert new.exists() == (steps > 0)
        if not steps:
            assert capsys.readouterr().err == "train.py: interrupted; nothing was written\n"

    def test_a_new_run_that_is_stopped_before_its_first_step_stays(self, tmp_path, monkeypatch):
        run = Run(tmp_path / "runs" / "a")
        monkeypatch.setattr(Trainer, "fit", lambda trainer, report: run.write_status(Status("stopped")))
        monkeypatch.setitem(CONFIGS, "fast", TINY.model)
        assert train.main(["--run-dir", str(run.folder)]) == 0
        assert run.read_status().state == "stopped"


class TestLocks:
    def test_a_run_that_is_trained_is_not_started_again(self, tmp_path, capsys):
        run = Run(tmp_path / "runs" / "a")
        run.create(TINY)
        with training_lock(run):
            assert train.main(["--run-dir", str(run.folder), "--resume"]) == 2
        assert "is being trained by another process" in capsys.readouterr().err

    def test_one_training_at_a_time_unless_asked(self, tmp_path, capsys):
        first, second = Run(tmp_path / "runs" / "first"), Run(tmp_path / "runs" / "second")
        for run in (first, second):
            run.create(TINY)
        with training_lock(first):
            assert train.main(["--run-dir", str(second.folder), "--resume"]) == 2
            assert "first is being trained" in capsys.readouterr().err
            assert describe(second).state != "failed"
            assert train.main(["--run-dir", str(second.folder), "--resume", "--alongside"]) == 0


@pytest.mark.slow
class TestProcesses:
    def test_sigterm_saves_and_ends_and_a_second_start_is_told(self, tmp_path):
        run = Run(tmp_path / "runs" / "a")
        run.create(replace(TINY, epochs=10**6))
        first = process(run)
        wait_until(lambda: run.checkpoint_state()["epoch"] > 0, "an epoch")
        second = process(run)
        _, told = second.communicate(timeout=PATIENCE_SECONDS)
        assert second.returncode == 2
        assert "is being trained by another process" in told
        assert describe(run).state == "running"
        first.send_signal(signal.SIGTERM)
        said, _ = first.communicate(timeout=PATIENCE_SECONDS)
        assert first.returncode == 0
        assert "Stopped by SIGTERM." in said
        status = run.read_status()
        assert status.state == "stopped"
        assert run.checkpoint_state()["step"] == status.step

    def test_jax_trains_the_same_run(self, tmp_path):
        """A few steps on JAX, gone on with on TensorFlow: one format, one run."""
        run = Run(tmp_path / "runs" / "a")
        run.create(
            replace(TINY, loss={"bce": 1.0, "gdl": 0.1, "perceptual": 0.1}, rollout=1.0, context_frames=1)
        )
        jax = process(run, KERAS_BACKEND="jax")
        said, errors = jax.communicate(timeout=PATIENCE_SECONDS)
        assert jax.returncode == 0, errors
        assert "begins after step 0, jax" in said
        assert train.main(["--run-dir", str(run.folder), "--resume", "--epochs", "2"]) == 0
        assert run.read_history().epochs["step"].tolist() == [3, 6]

    @pytest.mark.timeout(900)
    def test_kills_at_random_moments_tear_nothing_and_lose_no_epoch(self, tmp_path):
        kill_and_resume(tmp_path, KILLS)
