"""Benchmarks run, at sizes that say nothing about speed, and compare like with like."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError

from benchmarks import __main__ as command
from benchmarks import app, crowd, document, editing, films, generator, measure, player, quick, serving
from benchmarks.app import CannotMeasure
from core import zoo
from core.prediction_request import PredictionResult
from core.wire import Answer, encode_answer
from tests.core.test_remote import Service
from tests.on_jax import computed_on_jax

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
    monkeypatch.setattr(
        command, "run_benchmark", lambda name: generator.run(clips=2, rounds=1, frames=3, many_clips=128)
    )
    path = tmp_path / "figures.json"
    assert command.main(["generator", "--json", str(path)]) == 0
    assert "| generator | vectorised against plain |" in capsys.readouterr().out
    written = json.loads(path.read_text())
    (ratio,) = [figure for figure in written["figures"] if figure["what"] == "vectorised against plain"]
    assert ratio["bar"] == 5
    assert ratio["quartiles"] == [ratio["value"]] * 2  # of a single round
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


def named(figures, *parts):
    """The one figure whose text has all the parts."""
    (found,) = [figure for figure in figures if all(part in figure.what for part in parts)]
    return found


def test_inference_runs(tiny_models):
    from benchmarks import inference

    figures = inference.run(rounds={1: 2, 2: 1}, frames=4, fast="tiny-fast", reference="tiny", side=32)
    assert all(figure.value > 0 for figure in figures)
    for clips in ("1 clip", "2 clips at once"):
        times = [figure for figure in figures if figure.unit == "ms a clip"]
        ours, peer = (
            named(times, f"{name}, float32, {clips}") for name in ("reference", "Keras' ConvLSTM2D")
        )
        assert ours.limit_percent > 0
        ratio = named(figures, "reference, float32, against", clips)
        if clips == "2 clips at once":  # of one round
            assert ratio.value == pytest.approx(peer.value / ours.value)


def test_training_runs(tiny_models):
    from benchmarks import training

    figures = training.run(
        rounds=1, batch_size=1, fast_batch_size=2, frames=3, fast="tiny-fast", reference="tiny", side=32
    )
    ours, of_peer = (named(figures, f"{name}, cross entropy") for name in ("reference", "Keras' ConvLSTM2D"))
    assert min(ours.value, of_peer.value, ours.limit_percent) > 0
    ratio = named(figures, "reference against Keras")
    assert ratio.value == pytest.approx(of_peer.value / ours.value)


def accelerator_values():
    """Of each figure the value and the share of the limit, on a CPU."""
    from benchmarks import accelerator
    from core.layers import PeepholeConvLSTM2D

    figures = accelerator.run(
        rounds=1,
        batch_size=1,
        large_batch_size=2,
        frames=3,
        lessons=2,
        side=64,
        reference="lesson",
        check=lambda: None,
    )
    with pytest.raises(CannotMeasure, match=r"needs a GPU that JAX sees, .*; got jax with no GPU$"):
        accelerator.run()
    values = {figure.what: (figure.value, figure.limit_percent or 0.0) for figure in figures}
    assert len(values) == len(figures)
    steps = [name for name in values if "cross entropy" in name]
    cell = PeepholeConvLSTM2D(3, 3)
    frames, *states = (
        np.random.default_rng(0).random(shape, np.float32) for shape in [(2, 4, 8, 8, 2)] + 2 * [(2, 8, 8, 3)]
    )
    for before in (None, states):
        expected = cell(frames, before)
        for one, ours in zip(accelerator.by_a_scan(cell, frames, before), expected, strict=True):
            np.testing.assert_allclose(np.asarray(one), np.asarray(ours), atol=1e-5)
    return [
        np.array(list(values.values())),
        np.array([values[name][1] for name in steps]),
        np.array(values["the nearest to the limit"]),
    ]


@pytest.mark.slow
def test_what_an_accelerator_is_asked_runs_with_jax(tmp_path):
    values, shares, nearest = computed_on_jax("tests.test_benchmarks", "accelerator_values", tmp_path)
    assert (values[:, 0] > 0).all()
    assert len(shares) == 5
    assert nearest[0] == shares.max() > 0


def test_an_accelerator_is_measured_when_asked_for_and_where_there_is_one(capsys):
    assert command.main(["accelerator"]) == 2
    said = capsys.readouterr().err
    assert "benchmarks: accelerator needs a GPU that JAX sees, and KERAS_BACKEND=jax; got tensorflow" in said


@pytest.mark.parametrize("quicker", [(), ("bfloat16",)])
def test_what_rounding_costs_is_told_of_a_shipped_model(monkeypatch, quicker):
    from benchmarks import rounding

    monkeypatch.setattr(rounding, "precisions", lambda: ("float32", *quicker))
    figures = rounding.run(clips=1, models=("mse",))
    assert [figure.what.split(":")[0] for figure in figures] == (
        ["mse, next-frame", "mse, rollout 10 → 10"] if quicker else []
    )
    assert all(0 < abs(figure.value) < 1 for figure in figures)


def test_operations_of_a_network_by_hand():
    """Two layers on two grids, folded twice, and a motion head."""
    from benchmarks.limits import network_flops
    from core.model_config import ModelConfig

    plain = ModelConfig("plain", (2, 3), (5, 1), canvas=16)
    first, second, head = 25 * (1 + 2) * 8, (2 + 3) * 12, 27 * 3
    of_empty_memory = 25 * 2 * 8 + 3 * 12
    assert network_flops(plain, 4) == 2 * 256 * (4 * (first + second + head) - of_empty_memory)

    folded = ModelConfig("folded", (4, 8), (3, 3), patch=2, scales=(1, 2), motions=1, reach=1, canvas=16)
    fine, coarse = 64, 16
    first, second = 9 * (4 + 4) * 16, 9 * (4 * 4 + 8) * 32
    features = 8 // 4 + 4  # unfolded, beside those of the first layer
    head, motion = 27 * features * 4, 9 * features * (2 * 3 + 4 * 2)
    of_empty_memory = fine * 9 * 4 * 16 + coarse * 9 * 8 * 32
    every = fine * (first + head + motion) + coarse * second
    assert network_flops(folded, 2) == 2 * (2 * every - of_empty_memory)


def test_the_share_of_the_limit_is_taken_round_by_round():
    from benchmarks.limits import limit_percent

    # as many operations as the product of 10 x 10 matrices, in twice and in four times its time
    assert limit_percent(2000, [2.0, 4.0, 8.0], [1.0, 1.0, 2.0], side=10) == pytest.approx(25)


def test_a_copy_is_one_in_any_number_of_threads():
    from benchmarks.limits import copy_call

    for threads in (1, 3):
        call = copy_call(threads, size=10)
        for _ in range(2):
            copy = call()
            assert copy.all()
            copy[:] = 0


def test_the_limit_is_measured_beside_the_rest():
    from benchmarks.limits import limit_figures, product_calls

    calls = product_calls(("float32",), side=16)
    seconds = measure.interleaved_seconds(calls, 2)
    (figure,) = limit_figures("b", seconds, side=16)
    rates = [2e-9 * 16**3 / value for value in seconds["matrix product, float32"]]
    assert figure.quartiles[0] <= figure.value <= figure.quartiles[1]
    assert figure.value == pytest.approx(sum(rates) / 2)


def test_metrics_of_the_plain_loop_are_ours():
    """Else the ratio would compare two different jobs."""
    from benchmarks import metrics
    from core.metrics import per_frame

    pair = metrics.some_predictions(0, 2, 3)
    plain, ours = metrics.plain_scores(*pair), per_frame(*pair)
    for name in ("psnr", "ssim"):
        np.testing.assert_allclose(plain[name], ours[name], rtol=1e-6)
    figures = metrics.run(clips=3, at_once=2, rounds=1, frames=3)
    assert named(figures, "against").value == pytest.approx(figures[1].value / figures[0].value)


def test_the_generator_is_shared_by_processes():
    figures = generator.run(clips=2, rounds=1, frames=3, many_clips=128)
    if (os.cpu_count() or 1) > 1:
        assert named(figures, "processes").value > 0


def test_memory_of_a_process_of_its_own(tiny_models):
    from benchmarks import footprint

    mb = "from benchmarks.footprint import resident_mb as mb; "
    peak, now = footprint.in_own_process(mb + "b = bytearray(2**26); del b; print(mb(), mb(False))")
    assert peak > now + 50
    with pytest.raises(CannotMeasure, match="(?s)ended early: .*ZeroDivisionError"):
        footprint.in_own_process("1 / 0")


def test_footprint_runs(tiny_models, monkeypatch, capsys):
    from benchmarks import footprint, inference

    def in_this_process(code):
        exec(code, {})
        return [float(capsys.readouterr().out)]

    monkeypatch.setattr(footprint, "in_own_process", in_this_process)
    figures = footprint.run(clips=1, frames=3, model="tiny")
    assert len(figures) == (1 + len(inference.peers())) * len(inference.precisions())
    assert all(figure.value >= 0 for figure in figures)


def test_an_exponent_is_that_of_the_power_law():
    from benchmarks.growth import exponent

    assert exponent([1, 2, 4], [5, 20, 80]) == pytest.approx(2)
    assert exponent([10, 20, 40], [7, 7, 7]) == pytest.approx(0, abs=1e-12)


def test_growth_runs_and_is_drawn(tiny_models, monkeypatch, tmp_path):
    from benchmarks import growth

    codes = []
    monkeypatch.setattr(growth, "in_own_process", lambda code: codes.append(code) or [100.0, 100.0])
    figures = growth.run(
        rounds=1,
        models=("tiny", "tiny-fast"),
        frames=(2, 4),
        clips=(1, 2),
        horizons=(1, 3),
        filters=(2, 4),
        canvases=(8, 16),
        memory_horizons=(5, 10),
    )
    ways = [figure.what.split(":")[0] for figure in figures]
    assert sorted(ways) == sorted(
        [f"{name} against {way}" for name in ("tiny", "tiny-fast") for way in ("frames", "clips", "horizon")]
        + ["tiny against filters", "tiny against canvas", "tiny against memory", "tiny-fast against memory"]
    )
    for figure in figures:
        assert figure.value == pytest.approx(growth.exponent(*zip(*figure.points, strict=True)), abs=1e-9)
    growth.draw(figures, tmp_path / "growth.svg")
    first = (tmp_path / "growth.svg").read_bytes()
    growth.draw(figures, tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").read_bytes() == first
    assert all(f"{figure.value:.2f}" in first.decode() for figure in figures)
    # what the processes run is code that runs
    monkeypatch.setattr("builtins.print", lambda *values: codes.append(values))
    exec(codes[0], {})
    assert len(codes[-1]) == 2


@pytest.fixture
def torch_peer():
    """Where PyTorch is installed (benchmarks/requirements.txt)."""
    pytest.importorskip("torch")
    from benchmarks import torch_peer

    return torch_peer


def test_the_peer_of_pytorch_has_the_same_kernels(tiny_models, torch_peer):
    from core.model_config import CONFIGS
    from core.model_shapes import variable_shapes

    network = torch_peer.Network(CONFIGS["tiny"])
    ours = [np.prod(shape) for name, shape in variable_shapes(CONFIGS["tiny"]).items() if "kernel" in name]
    theirs = [weight.numel() for name, weight in network.named_parameters() if weight.ndim > 3]
    assert sum(theirs) == sum(ours)
    with pytest.raises(ValueError, match="no patches; got a configuration with patch 4"):
        torch_peer.Network(CONFIGS["tiny-fast"])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_peer_of_pytorch_predicts_and_learns(tiny_models, torch_peer, precision):
    from core.model_config import CONFIGS

    peer = torch_peer.TorchPeer(CONFIGS["tiny"], precision)
    frames = np.random.default_rng(0).uniform(size=(2, 5, 16, 16, 1)).astype(np.float32)
    assert peer.next_frames(frames).shape == (2, 4, 16, 16, 1)
    assert peer.next_frames(frames).dtype == np.float32
    step = peer.training_step(frames[:, :-1], frames[:, 1:])
    losses = [step() for _ in range(30)]
    assert losses[-1] < losses[0]


def test_the_peer_of_pytorch_carries_its_state(tiny_models, torch_peer):
    """Step by step it predicts what it predicts of the whole growing clip."""
    import torch

    from core.model_config import CONFIGS

    peer = torch_peer.TorchPeer(CONFIGS["tiny"])
    frames = np.random.default_rng(0).uniform(size=(1, 3, 16, 16, 1)).astype(np.float32)
    rolled = peer.rollout(frames, 3)
    clip = torch.from_numpy(np.concatenate([frames, rolled[:, :2]], axis=1)).movedim(-1, 2)
    with torch.inference_mode():
        features, _ = peer.network.features(clip, None)
        whole = torch.sigmoid(peer.network.logits(features, 2, 0)).movedim(2, -1).numpy()
    np.testing.assert_allclose(rolled, whole[:, 2:], atol=1e-5)


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
    from benchmarks.inference import precisions

    figures = rollout.run(rounds={1: 1, 2: 1}, context=2, horizon=2, model="tiny", side=32)
    assert all(figure.value > 0 for figure in figures)
    times = [figure for figure in figures if figure.unit == "s a clip"]
    ours = named(times, "explicit state", "2 clips")
    for precision in precisions():
        growing = named(times, f"growing clip with Keras' ConvLSTM2D, {precision}", "2 clips")
        ratio = named(figures, ", against growing clip with Keras", f"{precision}, 2 clips")
        assert ratio.value == pytest.approx(growing.value / ours.value)
        assert ratio.bar == 8


def test_a_growing_clip_is_fed_with_its_last_prediction():
    from benchmarks.rollout import growing_clip

    context = np.arange(3.0).reshape(1, 3, 1, 1, 1)
    np.testing.assert_array_equal(growing_clip(lambda clip: clip + 1, context, 2).ravel(), [3, 4])


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


@pytest.fixture(scope="module")
def server():
    """An app that has been started for all who only want one."""
    with app.app_server() as server:
        yield server


@pytest.mark.browser
@pytest.mark.skipif(
    shutil.which("chromium") is None and os.environ.get("CI") != "true", reason="needs Chromium"
)
@pytest.mark.parametrize(
    "calls",
    [
        ["first_paint.run(rounds=1)"],
        ["slider.run(moves=1)", "editing.run(edits=1)", "inside._clicks(1)"],
    ],
)
def test_browser_benchmarks_find_what_they_time(calls, request):
    """In a process of its own: the browser tests keep Playwright's loop running in this one."""
    # the first paint is that of a server of its own
    server = request.getfixturevalue("server") if len(calls) > 1 else None
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE.format(calls=calls, server=server and (server.url, server.pid))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    values = [float(value) for value in done.stdout.split()]
    assert len(values) >= 2 * len(calls)
    assert all(0 <= value < 60_000 for value in values)


_MEASURE = """
import contextlib, importlib
from benchmarks import app
calls, server = {calls!r}, {server!r}
names = [call.split(".")[0] for call in calls]
modules = {{name: importlib.import_module("benchmarks." + name) for name in names}}
if server:
    for module in modules.values():
        module.app_server = lambda: contextlib.nullcontext(app.Server(*server))
for call in calls:
    figures = eval(call, modules)
    assert {{figure.benchmark for figure in figures}} == {{call.split(".")[0]}}, figures
    print(*(figure.value for figure in figures), flush=True)
"""


def test_a_small_class_is_answered(server, monkeypatch):
    """Every change, without a fault; `python -m benchmarks crowd` does it with thirty for ten minutes."""
    monkeypatch.setattr(crowd, "app_server", lambda: nullcontext(server))
    answers, _, late, faults, _, _ = crowd.run(visitors=5, seconds=5)
    assert answers.value >= 5
    assert faults.value == 0
    assert 0 < late.value < 30_000


def test_a_visitor_whose_connection_ends_is_a_fault(monkeypatch):
    class Dropped:
        def __init__(self, *_):
            raise ConnectionClosedError(None, None)

    monkeypatch.setattr(crowd, "Visitor", Dropped)
    answers = crowd.Answers()
    crowd._attend(app.Server("", 0), 3, 0.0, answers)
    assert answers.faults == [
        "visitor 3 was not answered: ConnectionClosedError no close frame received or sent"
    ]


def test_what_a_page_shows_of_faults_is_found():
    from streamlit.proto.Alert_pb2 import Alert
    from streamlit.proto.Element_pb2 import Element

    fine, wrong, busy, broken = Element(), Element(), Element(), Element()
    fine.markdown.body = "The model is busy being itself"
    wrong.alert.format, wrong.alert.body = Alert.ERROR, "no such model"
    busy.markdown.body = "**The model is busy:** 64 visitors"
    broken.exception.type, broken.exception.message = "ValueError", "no"
    assert crowd.faults_of([fine, wrong, busy, broken]) == ["no such model", "ValueError: no"]
    assert crowd.is_busy([fine, busy])
    assert not crowd.is_busy([fine, wrong])


# --- what each choice gains


def test_an_attribute_is_replaced_for_a_while():
    from benchmarks.choices import replaced

    thing = SimpleNamespace(value=1)

    def fails():
        with replaced(thing, "value", 2):
            assert thing.value == 2
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fails()
    assert thing.value == 1


def test_windows_by_pixel_are_those_by_cells():
    from keras import ops

    from benchmarks.choices import windows_by_pixel
    from core.matching import cell_windows

    frames = ops.convert_to_tensor(np.random.default_rng(0).random((2, 8, 12)))
    for patch, reach in ((4, 3), (2, 5), (4, 8)):
        np.testing.assert_array_equal(
            np.asarray(windows_by_pixel(frames, patch, reach)), np.asarray(cell_windows(frames, patch, reach))
        )


@pytest.mark.parametrize("other", ["input_convolutions_ahead", "slices_of_frames"])
def test_other_ways_to_step_make_the_same(other):
    from benchmarks import choices
    from core.layers import PeepholeConvLSTM2D

    rng = np.random.default_rng(0)
    cell = PeepholeConvLSTM2D(3, 3)
    frames, *states = (
        rng.random(shape).astype("float32") for shape in [(2, 4, 8, 8, 2)] + 2 * [(2, 8, 8, 3)]
    )
    for before in (None, states):
        expected = cell(frames, before)
        for one, ours in zip(getattr(choices, other)(cell, frames, before), expected, strict=True):
            np.testing.assert_allclose(np.asarray(one), np.asarray(ours), atol=1e-5)


def test_beginning_with_zeros_makes_the_same():
    from benchmarks.choices import from_zeros
    from core.model import Network
    from core.model_config import ModelConfig

    config = ModelConfig("tiny", (4,), (3,), patch=4, canvas=16, motions=1, reach=2, match=(1, 3))
    network = Network(config)
    frames = np.random.default_rng(0).random((2, 4, 16, 16, 1)).astype("float32")
    expected, _ = network.next_frames(frames)
    made, _ = from_zeros(Network.next_frames)(network, frames)
    np.testing.assert_allclose(np.asarray(made), np.asarray(expected), atol=1e-5)


def test_gates_that_round_each_operation_are_the_gates():
    from keras import ops

    from benchmarks.choices import rounding_each
    from core.layers import apply_gates

    rng = np.random.default_rng(0)
    sums, cell = (ops.cast(rng.normal(size=(2, 5, 6, size)), "bfloat16") for size in (16, 4))
    pairs = zip(rounding_each(apply_gates)(sums, cell, []), apply_gates(sums, cell, []), strict=True)
    for made, expected in pairs:
        np.testing.assert_allclose(
            *(np.asarray(ops.cast(one, "float32")) for one in (made, expected)), atol=2**-6
        )


def test_choices_run_and_are_undone_again(tiny_models):
    from benchmarks import choices
    from core import inference, layers, matching, model

    watched = (
        (inference, "compiled"),
        (layers, "fused"),
        (matching, "cell_windows"),
        (model.Network, "next_frames"),
    )
    before = [getattr(*pair) for pair in watched]
    made = choices.choices("tiny-fast", "tiny", 3)
    assert {choice.kept for choice in made} == {True, False}
    for choice in made:
        figure = choice.figure(1)
        assert figure.value > 0
        assert figure.predicted == choice.predicted
        assert figure.what.startswith("not kept") is not choice.kept
    assert [getattr(*pair) for pair in watched] == before


def test_a_choice_not_kept_is_a_gain_where_it_is_faster(monkeypatch):
    from benchmarks.choices import Choice

    now = [0.0]
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def taking(seconds):
        return lambda: lambda: now.__setitem__(0, now[0] + seconds)

    slow, quick_one = taking(0.04), taking(0.01)
    assert Choice("c", "p", quick_one, slow).figure(3).value == pytest.approx(4)
    assert Choice("c", "p", slow, quick_one, kept=False).figure(3).value == pytest.approx(4)
    assert Choice("c", "p", slow, quick_one).figure(3).value == pytest.approx(1 / 4)


def test_settings_are_those_of_a_process_each(monkeypatch):
    from benchmarks import choices

    codes = []
    monkeypatch.setattr(choices, "in_own_process", lambda code: codes.append(code) or [1.0, 2.0, 9.0])
    figures = choices.settings("fast", 3, 1)
    assert [figure.value for figure in figures] == [1, 1, 1]
    assert len(set(codes)) == 1 + len(choices.SETTINGS)
    for code in codes:
        compile(code, "setting", "exec")


# --- the document


def measured_figures():
    return [
        measure.Figure("generator", "loop", 1.5, "s", bar=2, quartiles=(1.0, 2.0), limit_percent=50),
        measure.Figure("growth", "a against frames: exponent, 1 expected", 0.9, "", points=((1, 2), (2, 4))),
        measure.Figure("choices", "c", 1.2, "×", predicted="more"),
    ]


def test_figures_survive_json():
    rows = json.loads(json.dumps(command.report(measured_figures())))["figures"]
    assert [document.figure_from(row) for row in rows] == measured_figures()


def test_a_table_has_the_columns_that_are_used():
    first, growth, choice = measured_figures()
    assert measure.markdown_table([choice], named=False).splitlines() == [
        "| what | predicted | median |",
        "| --- | --- | ---: |",
        "| c | more | 1.2 × |",
    ]
    assert "| loop | 1.5 s | 1 – 2 | 50 % | ≤ 2 s | yes |" in measure.markdown_table([first, growth])


def test_a_service_is_asked_again_as_soon_as_it_has_answered():
    frames = np.zeros((19, 64, 64), np.float32)
    good = encode_answer(Answer(PredictionResult(frames, 0.1, "CPU"), zoo.weights_checksum(serving.MODEL)))
    with Service((200, good)) as service:
        times = serving.answered(service.url, 0.5, clients=3)
    assert len(times) == len(service.requests) >= 3
    assert all(one > 0 for one in times)


def test_blocks_are_rendered_and_others_stay():
    results = json.loads(json.dumps(command.report(measured_figures()[:1])))
    text = "a\n<!-- measured: generator -->\nold\n<!-- end -->\nb\n<!-- measured: slider -->\n<!-- end -->\n"
    once = document.rendered(text, results)
    assert "| loop |" in once
    assert "old" not in once
    assert "<!-- measured: slider -->\nNot measured yet.\n<!-- end -->" in once
    assert document.rendered(once, results) == once
    document.check(["", text], ["generator"])
    with pytest.raises(document.DocumentError, match="has a block for generator"):
        document.check([""], ["generator"])


def test_benchmarks_are_replaced_one_by_one_on_one_machine():
    old, new = (
        {"machine": {"cpus": 2}, "figures": rows}
        for rows in (
            [{"benchmark": "a", "value": 1}, {"benchmark": "b", "value": 1}],
            [{"benchmark": "a", "value": 2}],
        )
    )
    merged = document.merged(old, new)
    assert [(row["benchmark"], row["value"]) for row in merged["figures"]] == [("b", 1), ("a", 2)]
    assert document.merged(None, new) == new
    with pytest.raises(document.DocumentError, match="another machine"):
        document.merged({**old, "machine": {"cpus": 4}}, new)


def test_the_command_writes_the_document(monkeypatch, tmp_path, capsys):
    for name in ("RESULTS", "PICTURE"):
        monkeypatch.setattr(document, name, tmp_path / name)
    monkeypatch.setattr(document, "DOCUMENTS", (tmp_path / "DOCUMENT", tmp_path / "OTHER"))
    (tmp_path / "OTHER").write_text("nothing measured\n")
    blocks = "".join(
        f"<!-- measured: {name} -->\n<!-- end -->\n" for name in ("generator", "growth", "choices")
    )
    (tmp_path / "DOCUMENT").write_text(blocks)
    assert command.main(["document"]) == 2
    assert "no docs/performance.json" in capsys.readouterr().err
    monkeypatch.setattr(command, "run_benchmark", lambda name: measured_figures())
    assert command.main(["generator", "--document"]) == 0
    assert "| loop |" in (tmp_path / "DOCUMENT").read_text()
    assert (tmp_path / "PICTURE").read_text().startswith("<?xml")
    (tmp_path / "DOCUMENT").write_text(blocks)
    assert command.main(["document"]) == 0
    assert "| loop |" in (tmp_path / "DOCUMENT").read_text()


def test_the_document_is_that_of_its_figures():
    """And there is a place for every benchmark, and the picture of the curves if there are any."""
    texts, results = [path.read_text() for path in document.DOCUMENTS], document.read()
    named = [re.findall("<!-- measured: (\\w+) -->", text) for text in texts]
    assert all("machine" in names for names in named)
    found = [name for names in named for name in names if name != "machine"]
    assert sorted(found) == sorted(set(command.BENCHMARKS) - command.APART)
    assert results is not None
    assert [document.rendered(text, results) for text in texts] == texts
    curves = [row for row in results["figures"] if row["points"]]
    assert document.PICTURE.is_file() == bool(curves)
    assert all(f"{row['value']:.2f}" in document.PICTURE.read_text() for row in curves)


# --- the guard


def waiting(seconds, calls=None):
    """A call that takes so long."""

    def call():
        time.sleep(seconds)
        if calls is not None:
            calls.append(seconds)

    return call


def test_a_ratio_is_the_peers_time_by_ours():
    ratio = quick.Comparison("r", waiting(0.01), waiting(0.04), scale=0.5).measure(3)
    assert ratio == pytest.approx(2, rel=0.5)


def test_what_fell_is_measured_again_before_it_is_believed():
    calls = []
    one = quick.Comparison("r", waiting(0.001, calls), waiting(0.001))
    quick.measured([one], {"r": 0.1}, rounds=1, again=3)
    assert len(calls) == 2  # with the unmeasured round
    quick.measured([one], {"r": 100.0}, rounds=1, again=3)
    assert len(calls) == 2 + 2 + 4


def test_the_guard_warns_of_a_fall_of_more_than_a_fifth():
    committed = {"steady": 2.0, "fallen": 2.0, "gone": 1.0}
    text = quick.report({"steady": 1.61, "fallen": 1.59, "new": 3.0}, committed)
    assert "| steady | 1.61 | 2 | -19 % |" in text
    assert "| new | 3 | none | |" in text
    assert [line for line in text.splitlines() if line.startswith("WARNING")] == [
        "WARNING: SLOWER: fallen: 1.59, committed 2 (-20 %)",
        "WARNING: NOT MEASURED: gone",
    ]
    assert "WARNING" not in quick.report({"steady": 2.5}, {"steady": 2.0})


@pytest.fixture
def committed(monkeypatch, tmp_path):
    """A file of committed ratios of its own, and one comparison, which measures 2."""
    path = tmp_path / "quick.json"
    monkeypatch.setattr(quick, "COMMITTED", path)
    monkeypatch.setattr(quick.Comparison, "measure", lambda self, rounds: 2.0)
    monkeypatch.setattr(quick, "comparisons", lambda: [quick.Comparison("r", waiting(0), waiting(0))])
    return path


def test_the_guard_warns_and_does_not_fail(committed, capsys):
    assert command.main(["quick"]) == 2
    assert "no committed ratios" in capsys.readouterr().err
    assert command.main(["quick", "--update"]) == 0
    assert json.loads(committed.read_text()) == {"r": 2.0}
    assert command.main(["quick"]) == 0
    assert "WARNING" not in capsys.readouterr().out
    committed.write_text('{"r": 4.0}')
    assert command.main(["quick"]) == 0
    assert "WARNING: SLOWER: r: 2, committed 4 (-50 %)" in capsys.readouterr().out
    assert command.main(["generator", "--update"]) == 2
    assert "--update goes with quick" in capsys.readouterr().err


def test_what_the_guard_compares_runs(tiny_models):
    compared = [
        *quick.of_clips(4, 3),
        *quick.of_inference("tiny-fast", "tiny", 3, 16),
        *quick.of_rollout("tiny", 2, 2),
        *quick.of_training("tiny", 1, 3),
    ]
    names = [one.name for one in compared]
    assert len(set(names)) == len(names)
    ratios = quick.measured(compared, {}, rounds=1)
    assert list(ratios) == names
    assert all(ratio > 0 for ratio in ratios.values())


def test_the_committed_ratios_are_those_of_the_guard():
    """Of a machine with bfloat16; another has names of its own, and is told so."""
    from benchmarks.inference import precisions

    if precisions()[-1] != "bfloat16":
        pytest.skip("no bfloat16 here")
    assert set(quick.read_committed(quick.COMMITTED)) == {one.name for one in quick.comparisons()}
