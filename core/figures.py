"""Pictures for a slide or a paper, as the bytes of PNG files: predictions beside the truth, a run's curves.

Drawn on Matplotlib's `Figure`, never with `pyplot`: no window, no display. Matplotlib's settings are those of
the whole process: they change while a picture is drawn, one at a time, and are then as before.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

ERROR_COLOURS = "inferno"  # sequential, black at no error as the background of the clips is
MAX_COLUMNS = 20  # frames of a sequence that are shown; of more, an even choice
MARKED_POINTS = 40  # curves of at most so many points show each as a dot
_ROWS = ("truth", "prediction", "|error|")
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same picture on every machine
    "font.size": 10,
    "axes.edgecolor": "#8a8f98",
    "axes.labelcolor": "#3b4048",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e6ea",
    "xtick.color": "#3b4048",
    "ytick.color": "#3b4048",
    "text.color": "#1d2129",
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar sign in the name of a file or a folder is one
}
_PARTS = {
    "bce": "BCE",
    "mse": "squared error",
    "log_mse": "log squared error",
    "perceptual": "VGG16 perceptual",
    "gdl": "gradient difference",
}
# Okabe and Ito's colours, told apart by colour-blind readers too.
_COLOURS = {
    "loss": "#000000",
    **dict.fromkeys(("val_loss", "val_psnr", "val_ssim"), "#d55e00"),
    "bce": "#0072b2",
    "mse": "#e69f00",
    "log_mse": "#56b4e9",
    "perceptual": "#009e73",
    "gdl": "#cc79a7",
    "learning_rate": "#5a606b",
}
_DRAWING = threading.Lock()  # two at once would take each other's settings for those of before
Columns = Mapping[str, np.ndarray]  # arrays of one length by name


def _png(figure: Figure, dpi: int) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white")
    return stream.getvalue()


# ----------------------------------------------------------------------------------------- predictions


def _shown_steps(steps: int) -> np.ndarray:
    """Indices of the predictions that are shown: all, or `MAX_COLUMNS` from the first to the last."""
    return np.linspace(0, steps - 1, min(steps, MAX_COLUMNS)).round().astype(int)


def shown_sequences(predicted_frames: int) -> int:
    """How many sequences make a picture about as wide as a slide."""
    return max(1, min(4, round(min(predicted_frames, MAX_COLUMNS) / 4.8)))


def _strip(frames: np.ndarray, gap: int) -> np.ndarray:
    """Frames side by side: (steps, height, width) -> (height, columns), NaN between two frames."""
    padded = np.pad(frames.astype(np.float64), [(0, 0), (0, 0), (0, gap)], constant_values=np.nan)
    return np.concatenate(list(padded), axis=1)[:, :-gap]


def prediction_sheet(
    truth: np.ndarray, predictions: np.ndarray, *, first_target: int, title: str = "", subtitle: str = ""
) -> bytes:
    """Truth over prediction over absolute error, one column a predicted frame, as a PNG.

    Every pixel of a frame is a square of whole pixels of the picture, so nothing is smoothed. The error's
    colours always span 0 to 1: pictures of two models can be compared.

    Parameters
    ----------
    truth, predictions : (sequences, predicted_frames, height, width)
        Floats in [0, 1]; predictions beyond are clipped. Sequences stand below one another.
    first_target : int
        Index in the clip, from 0, of the frame that the first prediction is of. Columns carry the number of
        their frame counted from 1, as the app counts.
    title, subtitle : str
        What was predicted, and how well.

    Raises
    ------
    ValueError
        If the two are not of one shape with four axes, or have no frame.
    """
    if truth.shape != predictions.shape or truth.ndim != 4 or not truth.size:
        raise ValueError(
            "truth and predictions must have one shape, (sequences, predicted_frames, height, width); "
            f"got {truth.shape} and {predictions.shape}"
        )
    clipped = np.clip(predictions, 0.0, 1.0)
    with _DRAWING, mpl.rc_context(_STYLE):
        return _draw_sheet(truth, clipped, first_target, title, subtitle)


def _draw_sheet(
    truth: np.ndarray, predictions: np.ndarray, first_target: int, title: str, subtitle: str
) -> bytes:
    steps = _shown_steps(truth.shape[1])
    height, width = truth.shape[2:]
    dpi, gap = 200, 2  # the gap is in pixels of a frame, all other lengths in pixels of the picture
    strip_width = (width + gap) * len(steps) - gap
    zoom = min(8, max(1, round(2400 / strip_width)))
    strip_px, row_px, row_gap, block_gap = strip_width * zoom, height * zoom, gap * zoom, 40
    left, right, top, bottom = 210, 150, 190, 40
    block_px = 3 * row_px + 2 * row_gap
    sheet_width = left + max(strip_px, 1600) + right  # wide enough for the subtitle
    sheet_height = top + len(truth) * (block_px + block_gap) - block_gap + bottom
    figure = Figure(figsize=(sheet_width / dpi, sheet_height / dpi))

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        """A place in pixels from the top left corner, as Matplotlib wants it."""
        return x / sheet_width, 1 - (y + h) / sheet_height, w / sheet_width, h / sheet_height

    def write(x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / sheet_width, 1 - y / sheet_height, text, **style)

    write(left, 56, title, fontsize=13, fontweight="bold", va="center")
    write(left, 102, subtitle, fontsize=9, color="#5a606b", va="center")
    write(left - 18, top - 18, "frame", fontsize=8, color="#5a606b", ha="right", va="center")
    for column, step in enumerate(steps):
        middle = left + ((width + gap) * column + width / 2) * zoom
        write(middle, top - 18, str(first_target + step + 1), fontsize=8, ha="center", va="center")
    for index, (true, predicted) in enumerate(zip(truth[:, steps], predictions[:, steps], strict=True)):
        block = top + index * (block_px + block_gap)
        strips = zip(_ROWS, (true, predicted, np.abs(true - predicted)), strict=True)
        for row, (label, frames) in enumerate(strips):
            y = block + row * (row_px + row_gap)
            axes = figure.add_axes(box(left, y, strip_px, row_px))
            colours = ERROR_COLOURS if label == "|error|" else "gray"
            axes.imshow(
                _strip(frames, gap), cmap=colours, vmin=0, vmax=1, interpolation="none", aspect="auto"
            )
            axes.set_axis_off()
            write(left - 18, y + row_px / 2, label, fontsize=9, ha="right", va="center")
    scale = figure.add_axes(box(left + strip_px + 28, top, 20, block_px))
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), ERROR_COLOURS), cax=scale, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=3)
    bar.set_label("|error|", fontsize=8, labelpad=2)
    return _png(figure, dpi)


# ---------------------------------------------------------------------------------------------- curves


def loss_curve(epochs: Columns, steps: Columns, *, title: str = "") -> bytes:
    """How a training went, against its steps: loss and its parts, validation, learning rate; as a PNG.

    Parameters
    ----------
    epochs : one value an epoch, of one length; `core.history.History.epochs`
        `step, learning_rate, loss, val_loss, val_psnr` (dB), `val_ssim`, and the loss's parts before
        weighting where there are any: `bce, mse, log_mse, perceptual, gdl`. NaN where a figure is missing.
    steps : one value a recorded step, of one length; `core.history.History.steps`
        `step, learning_rate, loss`; may be empty, and then the curves have only the epochs' values.
    title : str

    Raises
    ------
    ValueError
        If there is no epoch to draw.
    """
    if not len(epochs.get("step", ())):
        raise ValueError("a loss curve needs one epoch or more; got none")
    parts = [name for name in _PARTS if name in epochs and np.isfinite(epochs[name]).any()]
    with _DRAWING, mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12.8, 7.2), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
        figure.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=13)
        grid = figure.add_gridspec(6, 2, width_ratios=(1.25, 1))
        # One part alone is the loss itself, up to its weight.
        places = (grid[:3, 0], grid[3:, 0]) if parts[1:] else (grid[:, 0],)
        left = [figure.add_subplot(place) for place in places]
        right = [figure.add_subplot(grid[row : row + 2, 1]) for row in (0, 2, 4)]
        _draw_losses(left[0], epochs, steps)
        if parts[1:]:
            _draw_parts(left[1], epochs, parts)
        _draw_score(right[0], epochs, "val_psnr", "validation PSNR, dB", "{:.2f} dB")
        _draw_score(right[1], epochs, "val_ssim", "validation SSIM", "{:.3f}")
        _draw_rate(right[2], epochs, steps)
        last = max(float(columns["step"][-1]) for columns in (epochs, steps) if len(columns.get("step", ())))
        for column in (left, right):
            _share_steps(column, last)
        return _png(figure, 150)


def _share_steps(column: list[Axes], last: float) -> None:
    """One axis of training steps for panels that stand below one another."""
    for axes in column:
        axes.set_xlim(0, 1.02 * last)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.tick_params(labelbottom=axes is column[-1])
    column[-1].set_xlabel("training step")


def _draw(axes: Axes, columns: Columns, name: str, **style: Any) -> None:
    """A curve; with dots where there are few, for one point alone draws no line."""
    marker = "o" if len(columns[name]) <= MARKED_POINTS else ""
    style = {"color": _COLOURS[name], "linewidth": 2, "marker": marker, "markersize": 3.5, **style}
    axes.plot(columns["step"], columns[name], **style)


def _legend(axes: Axes) -> None:
    """Above the panel, where no curve can run through it."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2, fontsize=9)


def _log_axis(axes: Axes) -> None:
    """Logarithmic, with plain numbers; a loss often spans less than a decade, which needs other ticks."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    digits = (1,) if high > 100 * low else (1, 2, 5)
    axes.yaxis.set_major_locator(LogLocator(subs=digits) if high > 5 * low else MaxNLocator(6))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_losses(axes: Axes, epochs: Columns, steps: Columns) -> None:
    axes.set_title("loss")
    if len(steps.get("step", ())):
        _draw(axes, steps, "loss", alpha=0.2, linewidth=0.7, marker="")
    _draw(axes, epochs, "loss", label="training")
    _draw(axes, epochs, "val_loss", label="validation")
    _log_axis(axes)
    _legend(axes)


def _draw_parts(axes: Axes, epochs: Columns, parts: list[str]) -> None:
    axes.set_title("parts, unweighted")
    for name in parts:
        _draw(axes, epochs, name, label=_PARTS[name])
    _log_axis(axes)
    _legend(axes)


def _draw_rate(axes: Axes, epochs: Columns, steps: Columns) -> None:
    axes.set_title("learning rate")
    _draw(axes, steps if len(steps.get("step", ())) else epochs, "learning_rate")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _draw_score(axes: Axes, epochs: Columns, name: str, title: str, number: str) -> None:
    """One validation score, its best epoch marked."""
    axes.set_title(title)
    _draw(axes, epochs, name)
    step, values = epochs["step"], epochs[name]
    if np.isfinite(values).any():
        best = int(np.nanargmax(values))
        axes.plot(step[best], values[best], "o", color=_COLOURS[name], markersize=7)
        where = f"best {number.format(values[best])} at step {step[best]:,.0f}"
        axes.set_title(where, loc="right", fontsize=9, fontweight="normal", color="#5a606b")
