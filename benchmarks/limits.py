"""What the machine can do at best, measured in the same rounds as what is compared with it.

The limit of a network is how fast the machine multiplies matrices in a precision, since a convolution is
such a product. Data that is only moved is held to the memory's bandwidth instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from benchmarks.measure import Figure, figure_of, paired_ratios
from core.model_config import ModelConfig
from core.model_shapes import variable_shapes

SIDE = 2048  # of the matrices: large enough that nothing but the product counts
COPIED_BYTES = 128 * 2**20  # beyond any cache
PRECISIONS = ("float32", "bfloat16")
COPY = "memory"


def product_name(precision: str) -> str:
    """What a matrix product is called among the calls of a round."""
    return f"matrix product, {precision}"


@cache
def product_calls(precisions: tuple[str, ...] = PRECISIONS, side: int = SIDE) -> dict[str, Callable[[], Any]]:
    """A matrix product in each precision, `2 * side ** 3` operations."""
    import tensorflow as tf

    def call(precision: str) -> Callable[[], Any]:
        product = tf.function(lambda one, other: tf.matmul(one, other), autograph=False)
        rng = np.random.default_rng(0)
        pair = [tf.cast(rng.standard_normal((side, side)), precision) for _ in range(2)]
        return lambda: product(*pair)[0, 0].numpy()

    return {product_name(precision): call(precision) for precision in precisions}


def copy_call(threads: int, size: int = COPIED_BYTES) -> Callable[[], Any]:
    """A copy of `size` bytes, all 1, in so many threads: as much is read and as much written."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    parts = [slice(size * n // threads, size * (n + 1) // threads) for n in range(threads)]
    pool = ThreadPoolExecutor(threads)

    def copy(part: slice) -> None:
        target[part] = source[part]  # NumPy lets other threads run meanwhile

    def call() -> np.ndarray:
        list(pool.map(copy, parts))
        return target

    return call


def network_flops(config: ModelConfig, frames: int) -> int:
    """Operations of the convolutions of a network over so many frames of one clip, two for each product.

    Counted are the cells' input and recurrent convolutions, the output convolution and the motion head's: a
    kernel (height, width, in, out) does height * width * in * out products at each place of its grid. The
    gates, the normalisation and matching are not: they are element by element, and their time is the
    network's loss against the limit. Nor is the recurrent convolution of the first frame, whose memory is
    empty.
    """
    fine = config.canvas // config.patch
    area = {f"convlstm_{n}": (fine // scale) ** 2 for n, scale in enumerate(config.layer_scales, 1)}
    area |= {"head": fine**2, "motion": fine**2}
    products = 0
    for name, shape in variable_shapes(config).items():
        layer, _, weight = name.partition("/")
        if layer in area and weight in ("kernel", "recurrent_kernel"):
            times = frames - 1 if weight == "recurrent_kernel" else frames
            products += times * area[layer] * int(np.prod(shape))
    return 2 * products


def limit_percent(
    flops: float, seconds: list[float], product_seconds: list[float], side: int = SIDE
) -> float:
    """Operations a second as a share of those of the matrix products in the same rounds, median, percent."""
    most = 2 * side**3
    shares = paired_ratios(product_seconds, seconds)
    return 100 * flops / most * float(np.median(shares))


def limit_figures(benchmark: str, seconds: Mapping[str, list[float]], side: int = SIDE) -> list[Figure]:
    """Rates of the matrix products, and of the copy where one was made, that are among timed calls."""
    figures = []
    for precision in PRECISIONS:
        name = product_name(precision)
        if name in seconds:
            rates = [2e-9 * side**3 / value for value in seconds[name]]
            figures.append(figure_of(benchmark, name, rates, "GFLOP/s"))
    if COPY in seconds:
        rates = [2e-9 * COPIED_BYTES / value for value in seconds[COPY]]
        figures.append(figure_of(benchmark, "memory, read and written", rates, "GB/s"))
    return figures
