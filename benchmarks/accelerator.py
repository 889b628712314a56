"""Training on a GPU, with JAX: a step of `reference`, over time in three ways; and what teaches a forecast.

`KERAS_BACKEND=jax python -m benchmarks accelerator`. It is not among those that are run by default: what it
measures is another machine's than all else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.app import CannotMeasure
from benchmarks.choices import empty_states, input_convolutions_ahead, replaced
from benchmarks.limits import limit_percent, network_flops
from benchmarks.measure import Figure, figure_of, interleaved_seconds
from benchmarks.training import ONLY_BCE, training_step
from core.model_config import CONFIGS

PRODUCT = "matrix product, bfloat16"
STEPS, SCAN, AHEAD = "step by step", "by a scan", "step by step, input convolutions ahead"
CONTEXT, FRAMES_AHEAD = 10, 10  # of a forecast's lessons


def by_a_scan(cell: Any, frames: Any, states: Any = None, controls: Any = None) -> Any:
    """`PeepholeConvLSTM2D.steps` as a loop that is compiled once, whatever the number of frames."""
    from keras import ops

    from core.layers import apply_gates

    assert controls is None
    bias, *peepholes = (
        ops.cast(weight, cell.compute_dtype) for weight in (cell.bias, *cell.peephole_weights)
    )
    kernel = ops.concatenate([cell.kernel, cell.recurrent_kernel], axis=2)

    def step(before: Any, frame: Any) -> Any:
        hidden, memory = before
        both = ops.concatenate([frame, hidden], axis=-1)
        after = apply_gates(ops.conv(both, kernel, padding="same") + bias, memory, peepholes)
        return after, after[0]

    states = empty_states(cell, frames) if states is None else states
    (hidden, memory), outputs = ops.scan(step, tuple(states), ops.moveaxis(frames, 1, 0))
    return ops.moveaxis(outputs, 0, 1), hidden, memory


WAYS: dict[str, Callable[..., Any] | None] = {STEPS: None, SCAN: by_a_scan, AHEAD: input_convolutions_ahead}


def check_gpu() -> None:
    """CannotMeasure with one sentence unless Keras computes with JAX on a GPU."""
    import keras

    from core.precision import gpus

    if keras.backend.backend() != "jax" or not gpus():
        raise CannotMeasure(
            "accelerator needs a GPU that JAX sees, and KERAS_BACKEND=jax; got "
            f"{keras.backend.backend()} with {', '.join(gpus()) or 'no GPU'}"
        )


def product_call(side: int) -> Callable[[], Any]:
    """A product of two matrices of random numbers in bfloat16, `2 * side ** 3` operations."""
    import jax

    pair = [jax.random.normal(jax.random.key(n), (side, side), "bfloat16") for n in range(2)]
    product = jax.jit(lambda one, other: one @ other)
    return lambda: product(*pair).block_until_ready()


def step_call(name: str, way: Callable[..., Any] | None, batch: int, frames: int) -> Callable[[], Any]:
    """A training step of a network whose layers run over time in some way; compiled here, by a first one."""
    from core.layers import PeepholeConvLSTM2D
    from core.losses import CompositeLoss
    from core.model import Network

    with replaced(PeepholeConvLSTM2D, "steps", way or PeepholeConvLSTM2D.steps):
        network = Network(CONFIGS[name], "mixed_bfloat16")
        step = training_step(network.training_model(frames - 1), batch, frames, CompositeLoss(ONLY_BCE))
        step()
    return step


def lesson_call(name: str, clips: int) -> Callable[[], Any]:
    """A step that teaches a forecast, see `scripts.train_forecast`."""
    import keras

    from core.displacement_classifier import DisplacementClassifier
    from core.lessons import make_lessons
    from core.model import Network

    lessons = make_lessons(0, 1, clips=clips, context=CONTEXT, ahead=FRAMES_AHEAD).batch(0, clips)
    network = Network(CONFIGS[name], "float32")
    assert network.variables  # all weights are made when they are asked for
    teacher = DisplacementClassifier(network, CONTEXT, FRAMES_AHEAD)
    teacher.compile(keras.optimizers.Adam(1e-3))
    return lambda: teacher.train_on_batch(lessons)


def match_calls(name: str, clips: int) -> dict[str, Callable[[], Any]]:
    """Each match of a network, of so many pairs of frames."""
    import jax

    from core.model import Network

    config = CONFIGS[name]
    shape = (clips, 1, config.canvas, config.canvas, 1)
    pair = [jax.random.uniform(jax.random.key(n), shape) for n in range(2)]

    def call(match: Any) -> Callable[[], Any]:
        found = jax.jit(match.call)
        return lambda: jax.block_until_ready(found(*pair))

    return {
        f"match with the frame {lag} before, {clips} frames": call(match)
        for lag, match in sorted(Network(config).matches.items())
    }


def run(
    *,
    rounds: int = 20,
    batch_size: int = 16,
    large_batch_size: int = 64,
    frames: int = 20,
    lessons: int = 64,
    side: int = 8192,
    reference: str = "reference",
    fast: str = "fast",
    check: Callable[[], None] = check_gpu,
) -> list[Figure]:
    """Milliseconds a step and how near to the limit, by way and by clips a step; memory; a forecast's step.

    check : raises CannotMeasure where there is nothing to measure on
    """
    check()
    import jax

    device = jax.devices()[0]
    config = CONFIGS[reference]
    steps = {(STEPS, batch_size): step_call(reference, None, batch_size, frames)}
    memory = (device.memory_stats() or {}).get("peak_bytes_in_use")  # before more is asked for
    steps |= {
        (way, size): step_call(reference, WAYS[way], size, frames)
        for size, ways in ((batch_size, (SCAN, AHEAD)), (large_batch_size, (STEPS, AHEAD)))
        for way in ways
    }
    names = {
        key: f"{reference}, cross entropy, {key[1]} clips of {frames} frames, bfloat16, {key[0]}"
        for key in steps
    }
    small = {f"a forecast's step, {lessons} clips": lesson_call(fast, lessons), **match_calls(fast, lessons)}
    calls = {PRODUCT: product_call(side), **{names[key]: call for key, call in steps.items()}, **small}
    seconds = interleaved_seconds(calls, rounds)
    shares = {
        key: limit_percent(
            3 * key[1] * network_flops(config, frames - 1), seconds[name], seconds[PRODUCT], side
        )
        for key, name in names.items()
    }

    def milliseconds(name: str, **rest: Any) -> Figure:
        return figure_of("accelerator", name, [1e3 * value for value in seconds[name]], "ms", **rest)

    rates = [2e-12 * side**3 / value for value in seconds[PRODUCT]]
    figures = [figure_of("accelerator", f"{PRODUCT}, {device.device_kind}", rates, "TFLOP/s")]
    figures += [milliseconds(name, limit_percent=shares[key]) for key, name in names.items()]
    figures.append(
        Figure("accelerator", "the nearest to the limit", max(shares.values()), "%", bar=35, at_least=True)
    )
    if memory is not None:
        figures.append(
            Figure("accelerator", f"memory at most, {batch_size} clips, {STEPS}", memory / 2**30, "GiB")
        )
    return [*figures, *(milliseconds(name) for name in small)]
