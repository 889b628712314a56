"""Training: it learns, it resumes without a seam, its settings are checked."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

import train
from core import zoo
from core.model import ModelConfig
from core.runs import Run, RunError
from core.training import (
    Clips,
    TrainConfig,
    Trainer,
    default_config,
    export,
    learning_rate_at,
)
from core.weights import load_arrays

TINY = TrainConfig(
    ModelConfig("tiny", (4,), (3,), patch=4, peepholes="channel"),
    epochs=4,
    steps_per_epoch=3,
    batch_size=2,
    frames=4,
    learning_rate=1e-2,
    warmup_steps=2,
    precision="float32",
    validation_clips=2,
)


def start(folder, config=TINY, **arguments):
    run = Run(folder)
    run.create(config.to_json(), config.model.to_json())
    trainer = Trainer(config, run, **arguments)
    return run, trainer.fit()


def test_a_run_learns_and_leaves_everything_behind(tmp_path):
    run, rows = start(tmp_path / "run", replace(TINY, steps_per_epoch=10))
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert [row["step"] for row in rows] == [10, 20, 30, 40]
    stored = run.read_history()
    assert [row["loss"] for row in stored] == pytest.approx([row["loss"] for row in rows], rel=1e-6)
    assert TrainConfig.from_json(run.read_config()) == replace(TINY, steps_per_epoch=10)
    assert json.loads((run.folder / "status.json").read_text())["state"] == "finished"
    assert zoo.load(run.folder).next_frames(np.zeros((1, 3, 64, 64, 1), np.float32)).shape == (
        1,
        2,
        64,
        64,
        1,
    )


def test_progress_is_reported_step_by_step(tmp_path):
    run = Run(tmp_path)
    run.create(TINY.to_json(), TINY.model.to_json())
    seen = []
    Trainer(TINY, run).fit(seen.append)
    assert [progress.step for progress in seen if progress.row is None] == list(range(1, 13))
    assert [progress.row["epoch"] for progress in seen if progress.row] == [1, 2, 3, 4]
    assert seen[-1].share == 1
    assert all(0 < progress.share <= 1 and progress.loss > 0 for progress in seen)


def test_resuming_continues_the_same_curve(tmp_path):
    _, whole = start(tmp_path / "whole")
    # the plan, and so the learning rate, is of four epochs; the first call is stopped after two
    run = Run(tmp_path / "parts")
    run.create(TINY.to_json(), TINY.model.to_json())
    first = Trainer(TINY, run)
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: setattr(first.model, "stop_training", epoch == 1)
    )
    fit = first.model.fit
    first.model.fit = lambda *args, callbacks, **kwargs: fit(*args, callbacks=[*callbacks, stop], **kwargs)
    assert len(first.fit()) == 2
    assert json.loads((run.folder / "status.json").read_text())["state"] == "stopped"
    parts = Trainer(TINY, run, resume=True).fit()
    assert [row["step"] for row in parts] == [row["step"] for row in whole]
    for name in ("loss", "val_psnr", "learning_rate"):
        assert [row[name] for row in parts] == pytest.approx([row[name] for row in whole], rel=1e-4)


def test_resuming_a_finished_run_does_nothing(tmp_path):
    run, rows = start(tmp_path / "run")
    again = Trainer(TINY, run, resume=True).fit()
    assert [row["step"] for row in again] == [row["step"] for row in rows]


def test_max_minutes_ends_cleanly_with_everything_saved(tmp_path):
    run, rows = start(tmp_path / "run", replace(TINY, epochs=None, steps_per_epoch=10_000), max_minutes=0.03)
    assert 0 < rows[-1]["step"] < 10_000
    assert run.checkpoint_path.is_file()
    assert run.weights_path.is_file()


def test_export_rounds_to_float16(tmp_path):
    run, _ = start(tmp_path / "run")
    export(run, tmp_path / "shipped")
    arrays = load_arrays(tmp_path / "shipped" / "weights.npz")
    assert {array.dtype for array in arrays.values()} == {np.dtype("float16")}
    frames = np.random.default_rng(0).uniform(size=(1, 5, 64, 64, 1)).astype(np.float32)
    exact, rounded = (zoo.load(folder).next_frames(frames) for folder in (run.folder, tmp_path / "shipped"))
    np.testing.assert_allclose(exact, rounded, atol=5e-3)


def test_targets_are_the_frames_after_the_inputs():
    inputs, targets = Clips(TINY, first_step=5)[2]
    assert inputs.shape == targets.shape == (2, 3, 64, 64, 1)
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    later, _ = Clips(TINY, first_step=7)[0]
    np.testing.assert_array_equal(inputs, later)


def test_learning_rate_warms_up_and_falls_to_a_hundredth():
    config = replace(TINY, warmup_steps=10, learning_rate=1.0)
    assert learning_rate_at(config, 0, 0) == pytest.approx(0.1)
    assert learning_rate_at(config, 9, 0) == pytest.approx(1.0)
    assert learning_rate_at(config, 500, 0.5) == pytest.approx(0.505)
    assert learning_rate_at(config, 999, 1.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more; got 0"),
        ({"batch_size": 0}, "batch size must be 1 or more; got 0"),
        ({"frames": 1}, "frames must be 2 or more; got 1"),
        ({"learning_rate": 0.0}, "learning rate must be above 0; got 0.0"),
        ({"precision": "float8"}, "precision must be one of .* got 'float8'"),
        ({"loss": {"magic": 1.0}}, "loss must be made of bce; got magic"),
        ({"loss": {"bce": -1.0}}, "loss weights must be above 0"),
        ({"loss": {}}, "loss must be made of bce; got nothing"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


def test_a_run_needs_an_end(tmp_path):
    with pytest.raises(ValueError, match="say how long to train"):
        start(tmp_path / "run", replace(TINY, epochs=None))


def test_default_configs_know_the_models():
    assert default_config("fast").model.patch == 4
    assert default_config("reference", batch_size=3).batch_size == 3
    with pytest.raises(ValueError, match="model must be one of reference, fast; got 'slow'"):
        default_config("slow")


class TestCommandLine:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--model", "slow"], "model must be one of reference, fast; got 'slow'"),
            (["--epochs", "0"], "epochs must be 1 or more; got 0"),
            (["--max-minutes", "-1"], "max minutes must be above 0; got -1.0"),
            (["--loss", "bce=1,vgg=2"], "loss must be made of bce; got vgg"),
            (["--resume"], "holds no run to resume"),
            (["--seed", "-1"], "seed must be 0 or more; got -1"),
            (["--loss", "bce=x"], "loss must look like bce=1; got 'bce=x'"),
            (["--epoch", "3"], "unrecognized arguments: --epoch 3"),
        ],
    )
    def test_bad_input_is_one_line_and_status_2(self, tmp_path, capsys, arguments, message):
        assert train.main([*arguments, "--run-dir", str(tmp_path / "run")]) == 2
        error = capsys.readouterr().err.strip()
        assert message in error
        assert "\n" not in error
        assert not (tmp_path / "run").exists()

    def test_a_second_start_in_the_same_folder_is_refused(self, tmp_path, capsys):
        Run(tmp_path).create(TINY.to_json(), TINY.model.to_json())
        assert train.main(["--run-dir", str(tmp_path), "--epochs", "1"]) == 2
        assert "holds a run already" in capsys.readouterr().err

    def test_a_damaged_checkpoint_is_named(self, tmp_path, capsys):
        Run(tmp_path).create(TINY.to_json(), TINY.model.to_json())
        (tmp_path / "last.npz").write_bytes(b"torn")
        assert train.main(["--run-dir", str(tmp_path), "--resume"]) == 2
        assert "last.npz is damaged" in capsys.readouterr().err

    def test_a_few_steps_from_start_to_resume(self, tmp_path, capsys):
        config = replace(TINY, epochs=1)
        Run(tmp_path).create(config.to_json(), config.model.to_json())
        trainer = Trainer(config, Run(tmp_path))
        trainer.fit()
        shipped = tmp_path / "shipped"
        assert (
            train.main(["--run-dir", str(tmp_path), "--resume", "--epochs", "2", "--export", str(shipped)])
            == 0
        )
        assert "6 steps" in capsys.readouterr().out
        assert (shipped / "weights.npz").is_file()


class TestRun:
    def test_damaged_history_is_named(self, tmp_path):
        run = Run(tmp_path)
        run.history_path.write_text("epoch,step\n1,x\n")
        with pytest.raises(RunError, match=r"history\.csv is damaged"):
            run.read_history()

    def test_unwritable_folder_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RunError, match="cannot write to run folder"):
            Run(tmp_path / "file" / "run").create("{}", "{}")
