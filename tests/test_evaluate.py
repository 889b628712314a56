"""The command line of evaluate.py: what it writes, and one line with status 2 for a person's mistake."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import evaluate
from core import history, zoo
from core.device import DeviceError
from core.model_config import CONFIGS
from core.moving_mnist import benchmark_clips

ROOT = Path(__file__).resolve().parents[1]


class Half:
    """Predicts grey, whatever it sees: fast, and its error is easily worked out."""

    name, device, causal, precision = "half", "CPU", True, "float32"
    weights_sha256 = "5" * 64

    def next_frames(self, frames):
        return np.full_like(frames[:, 1:], 0.5)

    def rollout(self, context_frames, horizon):
        return np.full((len(context_frames), horizon, 64, 64, 1), 0.5, np.float32)


@pytest.fixture
def clips_file(tmp_path):
    """Eight standard clips in the layout of the public test file."""
    path = tmp_path / "clips.npy"
    np.save(path, benchmark_clips(0, 8).transpose(1, 0, 2, 3))
    return path


@pytest.fixture
def model_folder(tmp_path):
    """A folder that looks like a model's, for what goes wrong before a model is loaded."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text(CONFIGS["classroom"].to_json())
    (folder / "weights.npz").write_bytes(b"not weights")
    return folder


@pytest.fixture
def half(monkeypatch, model_folder):
    """The folder's model is `Half`."""
    monkeypatch.setattr(zoo, "load", lambda name_or_path, precision: Half())
    return model_folder


def test_a_gpu_that_fails_is_one_sentence(half, clips_file, monkeypatch, capsys):
    def out_of_memory(*_):
        raise DeviceError("the GPU: H failed (ResourceExhaustedError: OOM)")

    monkeypatch.setattr(Half, "next_frames", out_of_memory)
    assert evaluate.main(["--model", str(half), "--data", str(clips_file), "--sequences", "8"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("evaluate.py: the GPU: H failed")
    assert error.count("\n") == 1


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate"), RuntimeError("RESOURCE_EXHAUSTED: no")])
def test_memory_that_does_not_suffice_is_one_sentence(model_folder, clips_file, monkeypatch, capsys, error):
    def load(*_):
        raise error

    monkeypatch.setattr(zoo, "load", load)
    assert evaluate.main(["--model", str(model_folder), "--data", str(clips_file)]) == 2
    told = f"evaluate.py: memory does not suffice for this model ({error})\n"
    assert capsys.readouterr().err == told


def test_a_mistake_of_the_program_keeps_its_traceback(model_folder, clips_file, monkeypatch):
    def load(*_):
        raise RuntimeError("odd")

    monkeypatch.setattr(zoo, "load", load)
    with pytest.raises(RuntimeError, match="odd"):
        evaluate.main(["--model", str(model_folder), "--data", str(clips_file)])


def test_a_backend_that_is_not_there_is_told_before_the_work(model_folder, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "foo")
    assert evaluate.main(["--model", str(model_folder)]) == 2
    assert capsys.readouterr().err == "evaluate.py: KERAS_BACKEND must be tensorflow or jax; got 'foo'\n"


def test_a_network_far_larger_than_its_weights_is_one_sentence(model_folder, clips_file, capsys):
    huge = {"name": "huge", "filters": [10**9], "kernels": [3], "patch": 4, "peepholes": "channel"}
    (model_folder / "model.json").write_text(json.dumps(huge))
    np.savez(model_folder / "weights.npz", a=np.zeros(3, np.float32))
    assert evaluate.main(["--model", str(model_folder), "--data", str(clips_file)]) == 2
    told = capsys.readouterr().err
    assert "model.json is of a larger network than" in told
    assert told.count("\n") == 1


def test_everything_asked_for_is_written(half, clips_file, tmp_path, capsys):
    outputs = {name: tmp_path / name for name in ("report.json", "predictions.npy", "figures")}
    status = evaluate.main(
        [
            *("--model", str(half), "--data", str(clips_file), "--sequences", "5"),
            *("--json", str(outputs["report.json"]), "--predictions", str(outputs["predictions.npy"])),
            *("--figures", str(outputs["figures"])),
        ]
    )
    assert status == 0
    report = json.loads(outputs["report.json"].read_text())
    assert (report["model"], report["mode"], report["sequences"], report["frames"]) == (
        "half",
        "next-frame",
        5,
        20,
    )
    assert report["data"] == "clips.npy"
    truth = benchmark_clips(0, 5)[:, 1:] / 255
    assert report["mae"] == pytest.approx(np.abs(truth - 0.5).mean(), rel=1e-5)
    assert report["weights_sha256"] == Half.weights_sha256
    assert set(report["baselines"]) == {"copy_last"}  # positions are not in a file
    predictions = np.load(outputs["predictions.npy"], allow_pickle=False)
    assert (predictions.dtype, predictions.shape) == (np.float32, (5, 19, 64, 64))
    assert (predictions == 0.5).all()
    assert os.listdir(outputs["figures"]) == ["evaluation_results.png"]  # no curve: this is no run
    assert (outputs["figures"] / "evaluation_results.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.part"))
    printed = capsys.readouterr()
    assert "copy-last" in printed.out
    assert "clips.npy, next-frame: 5 sequences, 19 predicted frames of each" in printed.out
    assert "5 of 5 sequences" in printed.err


def test_a_rollout_of_the_standard_set(half, tmp_path, capsys):
    path = tmp_path / "report.json"
    arguments = [
        "--mode",
        "rollout",
        "--context",
        "12",
        "--horizon",
        "3",
        "--sequences",
        "4",
        "--json",
        str(path),
    ]
    assert evaluate.main(["--model", str(half), *arguments]) == 0
    report = json.loads(path.read_text())
    assert (report["context"], report["horizon"], len(report["per_step"]["mse"])) == (12, 3, 3)
    assert set(report["baselines"]) == {"copy_last", "constant_velocity", "bounce_oracle"}
    assert "rollout 12 -> 3" in capsys.readouterr().out


def test_all_of_a_file_is_scored_by_default(half, clips_file, tmp_path):
    path = tmp_path / "report.json"
    assert evaluate.main(["--model", str(half), "--data", str(clips_file), "--json", str(path)]) == 0
    assert json.loads(path.read_text())["sequences"] == 8


def test_what_the_figures_may_depend_on_is_in_the_report(half, clips_file, tmp_path):
    path = tmp_path / "report.json"
    assert evaluate.main(["--model", str(half), "--data", str(clips_file), "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert (report["precision"], report["backend"]) == ("float32", keras.backend.backend())
    assert report["versions"]["keras"] == keras.__version__
    assert report["weights_sha256"] == Half.weights_sha256


def test_a_network_that_leaks_is_told_from_the_others(half, clips_file, tmp_path, monkeypatch, capsys):
    path = tmp_path / "report.json"
    for causal in (True, False):
        monkeypatch.setattr(Half, "causal", causal)
        assert evaluate.main(["--model", str(half), "--data", str(clips_file), "--json", str(path)]) == 0
        assert json.loads(path.read_text())["causal"] is causal
        assert ("half LEAKS: its predictions have seen" in capsys.readouterr().out) is not causal


@pytest.mark.parametrize(("arguments", "told"), [(["--context", "9"], True), ([], False)])
def test_what_says_nothing_of_next_frames_is_told(half, clips_file, capsys, arguments, told):
    assert evaluate.main(["--model", str(half), "--data", str(clips_file), *arguments]) == 0
    assert ("--context and --horizon are of rollouts, and say nothing" in capsys.readouterr().err) is told


def test_clips_with_swapped_axes_are_told(half, tmp_path, capsys):
    path = tmp_path / "swapped.npy"
    np.save(path, benchmark_clips(0, 8))  # sequences first
    assert evaluate.main(["--model", str(half), "--data", str(path)]) == 0
    assert "are more alike than successive frames; are the first two axes swapped?" in capsys.readouterr().err


def epoch_row(number: int) -> dict[str, float]:
    names = ("loss", "val_loss", "val_psnr", "val_ssim", "learning_rate", "minutes")
    return {"epoch": number, "step": 100 * number} | dict.fromkeys(names, 1 / number)


def test_a_run_gets_a_loss_curve_once_it_has_an_epoch(half, clips_file, tmp_path):
    figures = tmp_path / "figures"
    arguments = ["--model", str(half), "--data", str(clips_file), "--figures", str(figures)]
    history.append(half / "history.csv", "step", {"step": 20, "loss": 0.3, "learning_rate": 1e-3})
    assert evaluate.main(arguments) == 0
    assert os.listdir(figures) == ["evaluation_results.png"]
    history.append(half / "history.csv", "epoch", epoch_row(1))
    assert evaluate.main(arguments) == 0
    assert sorted(os.listdir(figures)) == ["evaluation_results.png", "loss_curve.png"]
    assert (figures / "loss_curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_damaged_history_is_one_line_before_the_work(model_folder, tmp_path, capsys):
    (model_folder / "history.csv").write_text("step,loss\n1,0.5\n")
    assert evaluate.main(["--model", str(model_folder), "--figures", str(tmp_path / "figures")]) == 2
    printed = capsys.readouterr().err
    assert "history.csv is damaged" in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "figures").exists()


def test_the_tables_hold_the_figures_of_the_report(half, tmp_path, capsys):
    """Read back from what was printed: a row for each predictor in each block, and one for each frame."""
    path = tmp_path / "report.json"
    arguments = ["--model", str(half), "--sequences", "2", "--per-step", "--json", str(path)]
    assert evaluate.main(arguments) == 0
    report = json.loads(path.read_text())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    copied = report["baselines"]["copy_last"]

    def numbers(figures, *names):
        return [pytest.approx(figures[name], abs=0.00501) for name in names]

    names = ("psnr", "psnr_of_mean_mse", "ssim", "mse_sum", "mae_sum", "skill")
    rows = [[float(cell) for cell in line[1:]] for line in lines if line[:1] == ["copy-last"]]
    assert rows == [
        numbers(copied, *names),
        numbers(copied["without_first_prediction"], *names),
        numbers(copied, "mse_openstl", "mae_openstl", "ssim_openstl"),
    ]
    assert sum(line[:1] == ["half"] for line in lines) == 3
    assert ["as", "OpenSTL", "measures", "mse_openstl", "mae_openstl", "ssim_openstl"] in lines

    steps = [
        [float(cell) for cell in line] for line in lines if line and line[0].isdigit() and len(line) == 17
    ]
    assert [step[0] for step in steps] == list(range(2, 21))  # frames of the clip, counted from 1
    for index, (_, *cells) in enumerate(steps):
        for start, predictor in zip((0, 4, 8, 12), (report, *report["baselines"].values()), strict=True):
            for cell, name in zip(cells[start:], ("psnr", "ssim", "mse_sum", "mae_sum"), strict=False):
                assert cell == pytest.approx(predictor["per_step"][name][index], abs=0.0501), (index, name)


def test_lpips_is_measured_only_where_asked_for(half, clips_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "_load_lpips", lambda: lambda truth, predictions: truth[..., 0, 0] + 0.25)
    path = tmp_path / "report.json"
    arguments = ["--model", str(half), "--data", str(clips_file), "--per-step", "--json", str(path)]
    assert evaluate.main(arguments) == 0
    assert "lpips" not in path.read_text()
    assert "LPIPS" not in capsys.readouterr().out
    assert evaluate.main([*arguments, "--lpips"]) == 0
    report = json.loads(path.read_text())
    for scores in (report, report["baselines"]["copy_last"]):
        assert scores["lpips"] == pytest.approx(0.25)
        assert scores["per_step"]["lpips"] == pytest.approx([0.25] * 19)
    printed = capsys.readouterr().out
    assert printed.count("LPIPS") == 4  # two blocks of the table, two predictors of the rows by frame
    assert printed.count("0.2500") == 4


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_stays_in_its_line_on_a_terminal(monkeypatch):
    screen, now = Terminal(), iter((100.0, 110.0, 150.0))
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(evaluate.time, "monotonic", lambda: next(now))
    with evaluate.ProgressLine(1000) as progress:
        for done in (32, 64, 192):
            progress.show(done)
    shown = screen.getvalue().split("\r\x1b[K")
    assert shown[1] == "loading the model"
    assert shown[2] == "[........................] 32 of 1,000 sequences"
    # 32 sequences took 10 s, so 936 more take 292.5 s; then 160 in 50 s: 808 take 252.5 s.
    assert shown[3].endswith("64 of 1,000 sequences, 4:52 left")
    assert shown[4] == "[####....................] 192 of 1,000 sequences, 4:12 left"
    assert shown[5:] == [""]  # cleared for what follows
    assert "\n" not in screen.getvalue()


def test_progress_is_ten_lines_elsewhere(capsys):
    with evaluate.ProgressLine(1000) as progress:
        for done in range(1, 1001):
            progress.show(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"{done:,} of 1,000 sequences" for done in range(100, 1001, 100)]


BAD_ARGUMENTS = {
    "unknown option": (["--colour", "red"], "unrecognized arguments: --colour red"),
    "not a number": (["--sequences", "many"], "argument --sequences: invalid int value: 'many'"),
    "unknown model": (["--model", "dreamer"], "unknown model 'dreamer'; shipped are"),
    "no model": (["--model", ""], "unknown model ''; shipped are"),
    "long model": (["--model", "x" * 5000], "cannot be read: File name too long"),
    "unset data": (["--data", ""], "argument --data: must name a file or folder; got empty text"),
    "unset json": (["--json", ""], "argument --json: must name a file or folder; got empty text"),
    "unset predictions": (["--predictions", ""], "argument --predictions: must name a file or folder"),
    "unset figures": (["--figures", ""], "argument --figures: must name a file or folder"),
    "unknown mode": (["--mode", "backwards"], "mode must be next-frame or rollout; got 'backwards'"),
    "no sequences": (["--sequences", "0"], "--sequences must be 1 to 8, all that clips.npy has; got 0"),
    "negative sequences": (["--sequences", "-3"], "--sequences must be 1 to 8"),
    "too many sequences": (["--sequences", "9"], "--sequences must be 1 to 8, all that clips.npy has; got 9"),
    "no context": (["--mode", "rollout", "--context", "0"], "context must be 1 or more; got 0"),
    "no horizon": (["--mode", "rollout", "--horizon", "0"], "horizon must be 1 or more; got 0"),
    "rollout with the leaking head": (
        ["--mode", "rollout", "--model", "leaky"],
        "leaky has the leaking head, which needs frames that a rollout does not have",
    ),
    "too long": (["--mode", "rollout", "--context", "15"], "context + horizon must be 20 or less"),
    "missing data": (["--data", "{tmp}/no.npy"], "no.npy cannot be read: No such file or directory"),
    "folder as data": (["--data", "{tmp}"], "cannot be read: Is a directory"),
    "empty data": (["--data", "{tmp}/empty.npy"], "empty.npy is empty"),
    "truncated data": (["--data", "{tmp}/truncated.npy"], "truncated.npy is damaged or truncated"),
    "pickled data": (["--data", "{tmp}/pickled.npy"], "holds pickled Python objects"),
    "NaN data": (["--data", "{tmp}/nan.npy"], "clips must be uint8 (time, sequences, 64, 64); got float32"),
    "wrong shape": (["--data", "{tmp}/shape.npy"], "got (20, 64, 64)"),
    "no folder for json": (["--json", "{tmp}/no/report.json"], "report.json cannot be written: No such file"),
    "folder as json": (["--json", "{tmp}"], "is not a regular file"),
    "no folder for predictions": (
        ["--predictions", "{tmp}/no/p.npy"],
        "p.npy cannot be written: No such file",
    ),
    "file as figures": (["--figures", "{tmp}/empty.npy"], "cannot be used as a folder: File exists"),
    "json over data": (["--json", "{tmp}/clips.npy"], "--json and --data must be different; got"),
    "json over a figure": (
        ["--json", "{tmp}/evaluation_results.png", "--figures", "{tmp}"],
        "evaluation_results.png of --figures and --json must be different; got",
    ),
    "json over the folder of figures": (
        ["--json", "{tmp}/new", "--figures", "{tmp}/new"],
        "--figures and --json must be different; got",
    ),
    "predictions over json": (
        ["--json", "{tmp}/same", "--predictions", "{tmp}/./same"],
        "--predictions and --json must be different; got",
    ),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_a_mistake_is_one_line_and_status_2(name, model_folder, clips_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        zoo, "load", lambda *_: pytest.fail("the model was loaded before the input was checked")
    )
    (tmp_path / "empty.npy").touch()
    (tmp_path / "truncated.npy").write_bytes(clips_file.read_bytes()[:-1])
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "nan.npy", np.full((20, 1, 64, 64), np.nan, np.float32))
    np.save(tmp_path / "shape.npy", np.zeros((20, 64, 64), np.uint8))
    before = sorted(tmp_path.rglob("*"))
    arguments, text = BAD_ARGUMENTS[name]
    given = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]

    status = evaluate.main(["--model", str(model_folder), "--data", str(clips_file), *given])

    printed = capsys.readouterr()
    assert status == 2
    assert text in printed.err
    assert printed.err.startswith("evaluate.py: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_damaged_weights_are_one_line_and_leave_nothing(model_folder, tmp_path, capsys):
    (model_folder / "model.json").write_text(
        json.dumps({"name": "tiny", "filters": [2], "kernels": [3], "patch": 4, "peepholes": "channel"})
    )
    report = tmp_path / "report.json"
    assert evaluate.main(["--model", str(model_folder), "--sequences", "1", "--json", str(report)]) == 2
    printed = capsys.readouterr()
    assert "weights.npz is damaged" in printed.err
    assert printed.err.count("\n") == 1
    assert not report.exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("failure", [np.nan, KeyboardInterrupt()])
def test_a_failure_half_way_leaves_nothing(failure, half, tmp_path, monkeypatch, capsys):
    class Failing(Half):
        def next_frames(self, frames):
            if isinstance(failure, BaseException):
                raise failure
            return np.full_like(frames[:, 1:], failure)

    monkeypatch.setattr(zoo, "load", lambda *_: Failing())
    outputs = ["--json", str(tmp_path / "report.json"), "--predictions", str(tmp_path / "predictions.npy")]
    before = sorted(tmp_path.rglob("*"))
    assert evaluate.main(["--model", str(half), "--sequences", "2", *outputs]) in (2, 130)
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        evaluate.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "model",
        "data",
        "mode",
        "context",
        "horizon",
        "sequences",
        "json",
        "predictions",
        "figures",
        "lpips",
        "per-step",
    ):
        assert f"--{option}" in text


# --- a process of its own, as a person runs it


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "evaluate.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=240
    )


def test_a_mistake_is_answered_before_tensorflow_loads():
    answer = run("--sequences", "none")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "evaluate.py: argument --sequences: invalid int value: 'none'\n"


def test_a_real_network_is_scored(tmp_path):
    from core.model import ModelConfig, Network
    from core.weights import save_arrays, variable_arrays

    config = ModelConfig("tiny", filters=(2,), kernels=(3,), patch=4, peepholes="channel")
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.json").write_text(config.to_json())
    save_arrays(folder / "weights.npz", variable_arrays(Network(config).training_model(1).variables))
    path = tmp_path / "report.json"

    answer = run("--model", str(folder), "--sequences", "2", "--lpips", "--json", str(path))

    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == "2 of 2 sequences\n"
    report = json.loads(path.read_text())
    assert report["model"] == "tiny"
    assert 0 < report["psnr"] < 40
    assert len(report["per_step"]["lpips"]) == 19
    # Untrained, it sees grey fog; the last frame at least looks like digits.
    assert 0 < report["baselines"]["copy_last"]["lpips"] < report["lpips"] < 2
    assert report["device"].startswith(("CPU", "GPU"))
