"""The command line of evaluate.py: what it writes, and one line with status 2 for a person's mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import evaluate
from core import zoo
from core.moving_mnist import benchmark_clips
from core.weights import checksum

ROOT = Path(__file__).resolve().parents[1]


class Half:
    """Predicts grey, whatever it sees: fast, and its error is easily worked out."""

    name, device = "half", "CPU"

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
    (folder / "model.json").write_text("{}")
    (folder / "weights.npz").write_bytes(b"not weights")
    return folder


@pytest.fixture
def half(monkeypatch, model_folder):
    """The folder's model is `Half`."""
    monkeypatch.setattr(zoo, "load", lambda name_or_path: Half())
    return model_folder


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
    assert report["weights_sha256"] == checksum(half / "weights.npz")
    assert set(report["baselines"]) == {"copy_last"}  # positions are not in a file
    predictions = np.load(outputs["predictions.npy"], allow_pickle=False)
    assert (predictions.dtype, predictions.shape) == (np.float32, (5, 19, 64, 64))
    assert (predictions == 0.5).all()
    assert os.listdir(outputs["figures"]) == ["evaluation_results.png"]
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
    assert set(report["baselines"]) == {"copy_last", "constant_velocity"}
    assert "rollout 12 -> 3" in capsys.readouterr().out


def test_all_of_a_file_is_scored_by_default(half, clips_file, tmp_path):
    path = tmp_path / "report.json"
    assert evaluate.main(["--model", str(half), "--data", str(clips_file), "--json", str(path)]) == 0
    assert json.loads(path.read_text())["sequences"] == 8


BAD_ARGUMENTS = {
    "unknown option": (["--colour", "red"], "unrecognized arguments: --colour red"),
    "not a number": (["--sequences", "many"], "argument --sequences: invalid int value: 'many'"),
    "unknown model": (["--model", "dreamer"], "unknown model 'dreamer'; shipped are"),
    "unknown mode": (["--mode", "backwards"], "mode must be next-frame or rollout; got 'backwards'"),
    "no sequences": (["--sequences", "0"], "--sequences must be 1 to 8, all that clips.npy has; got 0"),
    "negative sequences": (["--sequences", "-3"], "--sequences must be 1 to 8"),
    "too many sequences": (["--sequences", "9"], "--sequences must be 1 to 8, all that clips.npy has; got 9"),
    "no context": (["--mode", "rollout", "--context", "0"], "context must be 1 or more; got 0"),
    "no horizon": (["--mode", "rollout", "--horizon", "0"], "horizon must be 1 or more; got 0"),
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
    "json over data": (["--json", "{tmp}/clips.npy"], "--json and --data must be different files"),
    "predictions over json": (
        ["--json", "{tmp}/same", "--predictions", "{tmp}/./same"],
        "--predictions and --json must be different files",
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

    answer = run("--model", str(folder), "--sequences", "2", "--json", str(path))

    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == "2 of 2 sequences\n"
    report = json.loads(path.read_text())
    assert report["model"] == "tiny"
    assert 0 < report["psnr"] < 40
    assert report["device"].startswith(("CPU", "GPU"))
