"""Figures: the pixels that a picture of predictions must hold, and what curves draw and refuse."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import imageio.v3 as imageio
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import colormaps

from core import figures
from core.loss_weights import PARTS

ROOT = Path(__file__).resolve().parents[2]


def rgb(png: bytes) -> np.ndarray:
    return imageio.imread(png)[..., :3]


def one_number(pixels: np.ndarray) -> np.ndarray:
    """Colours (..., 3) as one integer a pixel, which is quick to compare."""
    return pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)


def places_of(block: np.ndarray, picture: np.ndarray) -> list[tuple[int, int]]:
    """Row and column of each place in a picture where a square block of pixels stands."""
    size = len(block)
    rows, columns = picture.shape[0] - size + 1, picture.shape[1] - size + 1
    possible = np.ones((rows, columns), bool)
    for at in range(0, size, size // 8):  # along the diagonal; what agrees there is looked at in full
        possible &= picture[at : at + rows, at : at + columns] == block[at, at]
    return [(y, x) for y, x in np.argwhere(possible) if (picture[y : y + size, x : x + size] == block).all()]


def enlarged(frame: np.ndarray, zoom: int, colours: str) -> np.ndarray:
    pixels = one_number(colormaps[colours](frame, bytes=True)[..., :3])
    return pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)


# --- predictions


@pytest.mark.parametrize(("sequences", "steps", "zoom"), [(1, 3, 8), (2, 10, 4), (4, 19, 2)])
def test_every_pixel_of_every_frame_is_there_and_in_its_place(sequences, steps, zoom):
    """Truth over prediction over error, sequences below one another; no pixel smoothed, moved or lost."""
    rng = np.random.default_rng(0)
    truth, predictions = rng.integers(0, 256, (2, sequences, steps, 64, 64)).astype(np.float32) / 255
    picture = one_number(rgb(figures.prediction_sheet(truth, predictions, first_target=1)))
    corners = {}
    for row, (frames, colours) in enumerate(
        ((truth, "gray"), (predictions, "gray"), (np.abs(truth - predictions), "inferno"))
    ):
        for sequence in (0, sequences - 1):
            for step in (0, steps - 1):
                found = places_of(enlarged(frames[sequence, step], zoom, colours), picture)
                assert len(found) == 1, (row, sequence, step)
                corners[row, sequence, step] = found[0]
    for sequence in (0, sequences - 1):
        for step in (0, steps - 1):
            ys, xs = zip(*(corners[row, sequence, step] for row in range(3)), strict=True)
            assert len(set(xs)) == 1
            assert ys[0] + 64 * zoom < ys[1] < ys[1] + 64 * zoom < ys[2]
    assert corners[0, 0, steps - 1][1] > corners[0, 0, 0][1]
    if sequences > 1:
        assert corners[0, sequences - 1, 0][0] > corners[2, 0, 0][0]


def test_predictions_beyond_the_range_are_clipped():
    truth = np.ones((1, 3, 64, 64), np.float32)
    inside = figures.prediction_sheet(truth, truth, first_target=10)
    assert figures.prediction_sheet(truth, truth * 1.5, first_target=10) == inside


def test_columns_carry_the_number_of_their_frame(monkeypatch):
    written = []
    draw = figures.Figure.text
    monkeypatch.setattr(
        figures.Figure,
        "text",
        lambda self, x, y, s, **style: written.append(s) or draw(self, x, y, s, **style),
    )
    truth = np.zeros((1, 10, 64, 64))
    figures.prediction_sheet(truth, truth, first_target=10, title="fast, rollout", subtitle="mean")
    assert written[:2] == ["fast, rollout", "mean"]
    assert [text for text in written if text.isdigit()] == [str(number) for number in range(11, 21)]
    assert [text for text in written if text in ("truth", "prediction", "|error|")] == [
        "truth",
        "prediction",
        "|error|",
    ]


def test_a_name_with_dollar_signs_is_no_formula():
    truth = np.zeros((1, 2, 64, 64))
    name = r"$\no$"
    assert figures.prediction_sheet(truth, truth, first_target=1, title=name, subtitle=name)
    assert figures.loss_curve(*history(2), title=name)


def test_of_a_long_rollout_an_even_choice_is_shown():
    steps = figures._shown_steps(190)
    assert (len(steps), steps[0], steps[-1]) == (figures.MAX_COLUMNS, 0, 189)
    assert set(np.diff(steps)) <= {9, 10, 11}
    np.testing.assert_array_equal(figures._shown_steps(3), [0, 1, 2])


@pytest.mark.parametrize(("predicted_frames", "sequences"), [(1, 1), (5, 1), (10, 2), (19, 4), (190, 4)])
def test_a_picture_is_about_as_wide_as_a_slide(predicted_frames, sequences):
    assert figures.shown_sequences(predicted_frames) == sequences
    frames = np.zeros((sequences, predicted_frames, 64, 64), np.float32)
    height, width = rgb(figures.prediction_sheet(frames, frames, first_target=1)).shape[:2]
    assert 1 < width / height < 2.2
    assert 1900 <= width <= 3000


@pytest.mark.parametrize(
    "shapes", [((1, 3, 8, 8), (1, 2, 8, 8)), ((3, 8, 8), (3, 8, 8)), ((0, 3, 8, 8),) * 2]
)
def test_a_sheet_says_what_does_not_fit(shapes):
    with pytest.raises(ValueError, match=r"must have one shape, \(sequences, .*\); got \("):
        figures.prediction_sheet(np.zeros(shapes[0]), np.zeros(shapes[1]), first_target=1)


# --- curves


def history(epochs: int, steps: int = 0, parts: tuple[str, ...] = ()) -> tuple[dict, dict]:
    """Columns of a run of 100 steps an epoch whose loss falls and whose scores rise."""

    def columns(step: np.ndarray) -> dict[str, np.ndarray]:
        loss = 0.05 + 0.5 * np.exp(-step / 500)
        return {"step": step, "learning_rate": 1e-3 / (1 + step), "loss": loss} | {
            part: loss * (number + 1) if part in parts else np.full(len(step), np.nan)
            for number, part in enumerate(("bce", "perceptual", "gdl"))
        }

    of_epochs = columns(100.0 * np.arange(1, epochs + 1))
    of_epochs |= {
        "val_loss": of_epochs["loss"] * 1.1,
        "val_psnr": 20 - 10 * of_epochs["loss"],
        "val_ssim": 1 - of_epochs["loss"],
    }
    return of_epochs, columns(np.arange(1.0, steps + 1))


@pytest.fixture
def drawn(monkeypatch):
    """Panels of the figures made: title -> axes."""
    made = {}
    save = figures._png

    def remember(figure, dpi):
        made.update({axes.get_title(loc="left"): axes for axes in figure.axes})
        return save(figure, dpi)

    monkeypatch.setattr(figures, "_png", remember)
    return made


def labels(axes) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_ydata() for line in axes.lines if not line.get_label().startswith("_")}


def test_a_curve_shows_loss_parts_scores_and_rate(drawn):
    epochs, steps = history(30, 3099, ("bce", "perceptual", "gdl"))  # ended before its next epoch
    png = figures.loss_curve(epochs, steps, title="training of fast")
    assert rgb(png).shape == (1080, 1920, 3)
    assert set(drawn) == {
        "loss",
        "parts, unweighted",
        "validation PSNR, dB",
        "validation SSIM",
        "learning rate",
    }
    loss = labels(drawn["loss"])
    np.testing.assert_array_equal(loss["training"], epochs["loss"])
    np.testing.assert_array_equal(loss["validation"], epochs["val_loss"])
    assert set(labels(drawn["parts, unweighted"])) == {"BCE", "VGG16 perceptual", "gradient difference"}
    np.testing.assert_array_equal(drawn["learning rate"].lines[0].get_ydata(), steps["learning_rate"])
    assert drawn["validation PSNR, dB"].get_title(loc="right") == "best 19.49 dB at step 3,000"
    (limits,) = {axes.get_xlim() for axes in drawn.values()}
    assert limits[0] == 0
    assert 3099 < limits[1] < 3200


def test_every_part_of_a_loss_has_a_name_and_a_colour():
    assert set(figures._PARTS) == set(PARTS) <= set(figures._COLOURS)
    assert len({figures._COLOURS[part] for part in PARTS}) == len(PARTS)


def test_a_single_part_is_the_loss_and_gets_no_panel(drawn):
    figures.loss_curve(*history(3, parts=("bce",)))
    assert "parts, unweighted" not in drawn
    np.testing.assert_array_equal(drawn["learning rate"].lines[0].get_xdata(), [100, 200, 300])


def test_the_best_epoch_is_found_among_missing_scores(drawn):
    epochs, steps = history(4)
    epochs["val_psnr"] = np.array([np.nan, 18.5, 17.0, np.nan])
    epochs["val_ssim"] = np.full(4, np.nan)
    figures.loss_curve(epochs, steps)
    assert drawn["validation PSNR, dB"].get_title(loc="right") == "best 18.50 dB at step 200"
    assert drawn["validation SSIM"].get_title(loc="right") == ""


@pytest.mark.parametrize(("low", "high"), [(0.050, 0.056), (0.04, 0.3), (0.001, 5)])
def test_the_axis_of_a_loss_is_labelled_however_little_it_spans(low, high, drawn):
    epochs, steps = history(20)
    epochs["loss"] = epochs["val_loss"] = np.geomspace(high, low, 20)
    figures.loss_curve(epochs, steps)
    axes = drawn["loss"]
    shown = [tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    assert 3 <= len(shown) <= 12


def test_one_epoch_is_drawn_and_none_is_refused(drawn):
    figures.loss_curve(*history(1))
    assert drawn["loss"].lines[0].get_marker() == "o"
    for epochs in (history(0)[0], {}):
        with pytest.raises(ValueError, match="needs one epoch or more; got none"):
            figures.loss_curve(epochs, {})


def test_the_rest_of_core_and_evaluate_load_no_matplotlib():
    code = (
        "import sys, evaluate, core.metrics, core.evaluation, core.runs; print('matplotlib' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert answer.stdout.strip() == "False"


def test_threads_draw_one_at_a_time_and_leave_the_settings_as_they_were(monkeypatch):
    """Settings are the whole process's: who draws meanwhile would take them for those of before."""
    before = {name: mpl.rcParams[name] for name in figures._STYLE}
    alone = figures.loss_curve(*history(3), title="run")
    meeting, met, save = Barrier(2), [], figures._png

    def meet(figure, dpi):
        with suppress(BrokenBarrierError):
            met.append(meeting.wait(timeout=1))
        return save(figure, dpi)

    monkeypatch.setattr(figures, "_png", meet)
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(figures.loss_curve, *history(3), title="run") for _ in range(2)]

    assert met == []
    assert [one.result() for one in made] == [alone, alone]
    assert {name: mpl.rcParams[name] for name in before} == before


def test_no_window():
    code = (
        "import sys, numpy as np; from core import figures; z = np.zeros((1, 2, 8, 8)); "
        "figures.prediction_sheet(z, z, first_target=1); print('matplotlib.pyplot' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert answer.stdout.strip() == "False"
