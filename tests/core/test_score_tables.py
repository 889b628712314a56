"""Reports as tables: what a row holds, and what is said below them."""

import pytest

from core.score_tables import count, score_table, step_table, task_words

FIGURES = {"psnr": 20.5, "psnr_of_mean_mse": 19.5, "ssim": 0.91234, "mse_sum": 30.25, "mae_sum": 80.0}
OPENSTL = {"mse_openstl": 30.25, "mae_openstl": 80.0, "ssim_openstl": 0.95}
STEPS = {"psnr": [20.0, 21.0], "ssim": [0.9, 0.92], "mse_sum": [31.0, 29.5], "mae_sum": [81.0, 79.0]}


def report(**changes):
    scores = {**FIGURES, **OPENSTL, "skill": 0.75, "per_step": STEPS}
    return {
        **scores,
        "model": "tiny",
        "mode": "next-frame",
        "data": "clips",
        "sequences": 1,
        "predicted_frames": 2,
        "first_target": 1,
        "baselines": {"copy_last": {**scores, "skill": None}},
        "causal": True,
        "device": "CPU",
        "precision": "float32",
        "backend": "tensorflow",
        "seconds": 1.5,
        "frames_per_second": 12.6,
        **changes,
    }


@pytest.mark.parametrize(("number", "words"), [(1, "1 clip"), (0, "0 clips"), (1000, "1,000 clips")])
def test_a_number_has_its_noun(number, words):
    assert count(number, "clip") == words


def test_a_task_is_told_in_words():
    assert task_words(report()) == "next-frame"
    assert task_words(report(mode="rollout", context=10, horizon=5)) == "rollout 10 -> 5"


def test_each_predictor_has_a_row_of_as_many_figures_as_the_heading():
    lines = score_table(report()).splitlines()
    assert lines[0] == "clips, next-frame: 1 sequence, 2 predicted frames of each"
    assert lines[3].split() == ["tiny", "20.50", "19.50", "0.9123", "30.25", "80.00", "0.75"]
    assert lines[4].split() == ["copy-last", "20.50", "19.50", "0.9123", "30.25", "80.00", "-"]
    assert len(lines[2]) == len(lines[3]) == len(lines[4])
    assert lines[-1] == "CPU, float32, tensorflow: 1.50 s, 13 predicted frames a second"


def test_columns_line_up_under_a_long_name():
    lines = score_table(report(model="a-name-of-thirty-characters-xx")).splitlines()
    assert len(lines[2]) == len(lines[3]) == len(lines[4])


def test_a_leak_is_told_below_the_figures():
    assert "tiny LEAKS" in score_table(report(causal=False))
    assert "LEAKS" not in score_table(report())


def test_errors_of_several_sequences_are_told():
    errors = {"psnr": 0.25, "ssim": 0.002, "mse_sum": 1.5}
    assert "Standard errors of tiny" not in score_table(report())
    told = score_table(report(sequences=2, standard_error=errors))
    assert "PSNR 0.25 dB, SSIM 0.0020, MSE 1.50" in told


def test_steps_are_counted_as_the_app_counts_frames():
    lines = step_table(report()).splitlines()
    assert "tiny" in lines[0]
    assert "copy-last" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["2", "3"]
    assert lines[3].split()[1:5] == ["21.00", "0.920", "29.5", "79.0"]
