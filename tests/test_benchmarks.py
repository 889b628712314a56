"""Benchmarks run, at sizes that say nothing about speed, and compare like with like."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import editing, films, generator, measure, player

ROOT = Path(__file__).resolve().parents[1]


def test_the_plain_generator_makes_the_very_clips_of_ours():
    """Else the ratio would compare two different jobs."""
    plain = generator.make_plain(np.random.default_rng(5), 100, 20)
    ours = generator.make_vectorised(np.random.default_rng(5), 100, 20)
    np.testing.assert_array_equal(plain, ours)


def test_calls_are_timed_in_turns_after_one_unmeasured_round():
    order = []
    seconds = measure.interleaved_seconds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}
    with pytest.raises(ValueError, match="rounds must be 1 or more; got 0"):
        measure.interleaved_seconds({}, 0)


def test_a_bar_is_an_upper_or_a_lower_limit():
    assert measure.Figure("b", "time", 100, "ms", 150).met
    assert not measure.Figure("b", "ratio", 3, "×", 4, at_least=True).met
    assert measure.Figure("b", "rate", 3, "frames/s").met is None


def test_the_command_prints_a_table_and_writes_json(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "run_benchmark", lambda name: generator.run(clips=2, rounds=1, frames=3))
    path = tmp_path / "figures.json"
    assert command.main(["generator", "--json", str(path)]) == 0
    assert "| generator | vectorised against plain |" in capsys.readouterr().out
    written = json.loads(path.read_text())
    assert written["figures"][-1]["bar"] == 4
    assert written["machine"]["cpus"] >= 1


def test_mistakes_are_one_line_and_status_2(monkeypatch, tmp_path, capsys):
    assert command.main(["warp"]) == 2
    assert capsys.readouterr().err == (
        f"benchmarks: unknown benchmark 'warp'; there are {', '.join(command.BENCHMARKS)}\n"
    )
    monkeypatch.setattr(
        command, "run_benchmark", lambda name: pytest.fail("ran before the place was checked")
    )
    assert command.main(["generator", "--json", str(tmp_path / "no" / "figures.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture
def tiny_models(monkeypatch):
    from core.model import CONFIGS, ModelConfig

    monkeypatch.setitem(CONFIGS, "tiny", ModelConfig("tiny", (2,), (3,), canvas=16))
    monkeypatch.setitem(
        CONFIGS, "tiny-fast", ModelConfig("tiny-fast", (2,), (3,), patch=4, peepholes="channel", canvas=16)
    )


def test_inference_runs(tiny_models):
    from benchmarks import inference

    figures = inference.run(rounds=1, frames=4, fast="tiny-fast", reference="tiny")
    assert [figure.unit for figure in figures] == ["ms", "ms", "ms", "ms", "×", "×"]
    assert all(figure.value > 0 for figure in figures)


def test_training_runs(tiny_models):
    from benchmarks import training

    figures = training.run(
        rounds=1, batch_size=1, fast_batch_size=2, frames=3, fast="tiny-fast", reference="tiny"
    )
    assert [figure.unit for figure in figures] == ["ms a frame", "ms a frame", "×", "%", "ms"]
    frame, of_peer, ratio, _, step = (figure.value for figure in figures)
    assert min(frame, of_peer, step) > 0
    assert ratio == pytest.approx(of_peer / frame)


def test_a_training_step_trains():
    import keras

    from benchmarks.training import training_step

    frames = keras.Input((2, 64, 64, 1))
    model = keras.Model(frames, keras.layers.Conv3D(1, 1, activation="sigmoid")(frames))
    before = [np.array(weight) for weight in model.get_weights()]
    training_step(model, 1, 3, "mse")()
    assert all((old != new).all() for old, new in zip(before, model.get_weights(), strict=True))


def test_the_peer_has_the_same_filters_and_kernels(tiny_models):
    from benchmarks.keras_peer import keras_model
    from core.model import CONFIGS, Network

    config = CONFIGS["tiny"]
    ours = Network(config).training_model(3)
    shapes = {dtype: keras_model(config, 3, dtype) for dtype in ("float32", "mixed_bfloat16")}
    for dtype, peer in shapes.items():
        kernels = [weight.shape for weight in peer.weights if "kernel" in weight.name]
        assert kernels == [weight.shape for weight in ours.weights if "kernel" in weight.name]
        assert peer.output.shape == ours.output.shape
        assert peer.output.dtype == "float32"
        assert peer.layers[1].compute_dtype == dtype.removeprefix("mixed_")


def test_rollout_runs(tiny_models):
    from benchmarks import rollout

    figures = rollout.run(rounds=1, context=2, horizon=2, model="tiny")
    assert [figure.unit for figure in figures] == ["s", "s", "s", "×", "×"]


def test_a_percentile_lies_between_the_values_around_it():
    assert measure.percentile([float(value) for value in range(1, 102)], 95) == pytest.approx(96)
    assert measure.percentile([10.0, 20.0], 50) == pytest.approx(15)
    assert measure.percentile([7.0], 95) == 7


def test_a_frame_that_stays_for_the_time_of_several_has_cost_the_others():
    assert player.dropped([0, 50, 100, 150]) == 0
    assert player.dropped([0, 33, 100, 133, 200]) == 0  # as a screen of 60 pictures a second shows them
    assert player.dropped([0, 50, 150, 200]) == 1
    assert player.dropped([0, 200]) == 3


def test_a_digit_is_dragged_to_other_places_each_time():
    places = editing.places(60)
    assert len({*places, editing._START}) == 61
    assert all(0 <= x <= 36 and 0 <= y <= 36 for x, y in places)


def test_films_run(monkeypatch):
    monkeypatch.setattr(films.zoo, "load", lambda name: SimpleNamespace(next_frames=lambda x: x[:, 1:]))
    figures = films.run(rounds=1)
    assert [figure.unit for figure in figures] == ["ms"] * 3
    assert all(figure.value > 0 for figure in figures)


@pytest.mark.browser
@pytest.mark.skipif(
    shutil.which("chromium") is None and os.environ.get("CI") != "true", reason="needs Chromium"
)
@pytest.mark.parametrize(
    "call",
    [
        "slider.run(moves=1)",
        "editing.run(edits=1)",
        "first_paint.run(rounds=1)",
        "inside._clicks(1)",
    ],
)
def test_browser_benchmarks_find_what_they_time(call):
    """In a process of its own: the browser tests keep Playwright's loop running in this one."""
    module = call.split(".")[0]
    code = f"from benchmarks import {module}; print(*(figure.value for figure in {call}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(0 <= float(value) < 60_000 for value in done.stdout.split())
