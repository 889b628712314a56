"""The README's figures are those of the model cards, and theirs are those of the result files."""

import json
import re
import shlex
from pathlib import Path

import pytest

import evaluate
import train
from core import zoo
from scripts.make_pictures import SHOTS

README_FOLDER = Path(__file__).resolve().parents[1]
RESULTS = README_FOLDER / "assets" / "results"
README = (README_FOLDER / "README.md").read_text()
ROW = re.compile(r"^\| `?([\w+-]+)`?[^|]*" + r"\| ([\d.]+) " * 4 + r"\|", re.MULTILINE)


def rows(heading):
    """Name and figures of each row of the table under a heading."""
    table = README.split(f"| {heading}", 1)[1].split("\n\n", 1)[0]
    return {name: [float(value) for value in figures] for name, *figures in ROW.findall(table)}


@pytest.mark.parametrize(("heading", "key"), [("next-frame", "next_frame"), ("rollout", "rollout_10_10")])
def test_tables_hold_the_cards_figures(heading, key):
    expected = {}
    for name in zoo.model_names():
        metrics = zoo.card(name)["metrics"]
        if name in zoo.LESSON_MODELS or key not in metrics:
            continue
        expected[name] = metrics[key]
        if name == "fast":
            expected["copy-last"] = metrics[f"{key}_copy_last"]
    found = rows(heading)
    assert set(found) == set(expected)
    for name, scores in expected.items():
        assert found[name] == [
            round(scores["psnr"], 2),
            round(scores["psnr_of_mean_mse"], 2),
            round(scores["ssim"], 3),
            round(scores["mse_sum"], 1),
        ]


def test_commands_of_the_readme_name_files_that_exist():
    root = Path(__file__).resolve().parents[1]
    for path in re.findall(r"python (\w+\.py|scripts/\w+\.py)", README):
        assert (root / path).is_file()
    for module in re.findall(r"python -m (scripts\.\w+)", README):
        assert (root / (module.replace(".", "/") + ".py")).is_file()


@pytest.mark.parametrize(
    ("document", "program"),
    [("README.md", train), ("README.md", evaluate), ("docs/training-notes.md", train)],
)
def test_commands_of_documents_have_options_that_are_accepted(document, program):
    text = (README_FOLDER / document).read_text()
    commands = re.findall(rf"python {program.__name__}\.py([^`\n]*)", text)
    assert commands
    for command in commands:
        options = shlex.split(command, comments=True)
        if "..." not in options:  # or it tells of what the options have in common
            program.build_parser().parse_args(options)


def test_every_picture_is_shown_beside_the_command_that_makes_it():
    for name in SHOTS:
        assert f"(docs/pictures/{name}.webp) `python -m scripts.make_pictures {name}`" in README
    made = {f"{name}.webp" for name in SHOTS} | {"prediction.webp"}
    pictures = Path(__file__).resolve().parents[1] / "docs" / "pictures"
    others = {"growth.svg"}  # of docs/performance.md
    assert {path.name for path in pictures.iterdir()} - others == made
    assert sum(path.stat().st_size for path in pictures.iterdir()) < 900 * 1024


def test_the_limit_is_that_of_its_file():
    path = Path(__file__).resolve().parents[1] / "assets" / "results" / "observer.json"
    limit = json.loads(path.read_text())
    assert limit["made_by"] in README
    table = README.split("| ideal observer |", 1)[1].split("\n\n", 1)[0]
    found = [[float(cell) for cell in line.split("|")[2:6]] for line in table.splitlines()[2:]]
    expected = [limit["next_frame"], limit["next_frame"]["without_first_prediction"], limit["rollout"]]
    assert found == [
        [
            round(row["psnr"], 2),
            round(row["psnr_of_mean_mse"], 2),
            round(row["ssim"], 3),
            round(row["mse_sum"], 1),
        ]
        for row in expected
    ]


def test_sentences_about_limits_hold_the_figures_of_their_files():
    text = " ".join(README.split())
    limit = json.loads((RESULTS / "observer.json").read_text())["next_frame"]["without_first_prediction"]
    cards = [zoo.card(name)["metrics"] for name in ("fast", "best")]
    errors = [card["next_frame"]["without_first_prediction"]["mse_sum"] for card in cards]
    shares = [100 * limit["mse_sum"] / error for error in errors]
    assert "makes {:.0f} % of the error of the one and {:.0f} % of that of the other".format(*shares) in text
    maps = [json.loads((RESULTS / f"{name}.map.json").read_text()) for name in ("best", "fast")]
    still = [found["cells"][0]["psnr"] for found in maps]
    assert "has a mean PSNR of {:.1f} dB, where `fast`, which does not, has {:.1f}".format(*still) in text
    copied = zoo.card("fast")["metrics"]["next_frame_copy_last"]["lpips"]
    assert f"in the wrong place, has {copied:.3f}" in text


@pytest.mark.parametrize("name", ["fast", "best"])
def test_the_training_in_decibels_is_that_of_the_card(name):
    training = zoo.card(name)["training"]
    while training.get("averaged_with", {}).get("training", {}).get("learned") not in ("all", "network"):
        training = training["begun_from"]["training"]
    with_which = training["averaged_with"]["training"]
    assert "log_mse" in with_which["loss"]
    told = f"`{name}` for {with_which['minutes']:.0f} minutes and {with_which['clips_seen']:,}"
    assert told in " ".join(README.split())


@pytest.mark.parametrize(
    "path", [p for mode in ("next-frame", "rollout") for p in RESULTS.glob(f"*.{mode}.json")]
)
def test_cards_and_result_files_tell_the_same(path):
    name, mode, _ = path.name.split(".")
    metrics = zoo.card(name)["metrics"]
    report = json.loads(path.read_text())
    assert report["sequences"] == metrics["rollout_sequences" if mode == "rollout" else "sequences"]
    for figure in ("psnr", "ssim", "mse_sum", "mae_sum"):
        scores = metrics["rollout_10_10" if mode == "rollout" else "next_frame"]
        assert report[figure] == pytest.approx(scores[figure], rel=1e-3)


def test_the_blur_lesson_is_that_of_its_file_and_of_the_cards():
    lesson = json.loads((RESULTS / "blur.json").read_text())
    assert lesson["made_by"] in README
    table = README.split("| loss, next-frame |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    found = {
        cells[1].strip(" `"): [float(cell) for cell in cells[2:6]]
        for cells in (line.split("|") for line in table)
    }
    assert tuple(found) == zoo.LESSON_MODELS
    for row in lesson["models"]:
        scores = row["psnr"], row["ssim"], row["lpips"], row["sharpness_ratio"]
        assert found[row["name"]] == [round(score, 2 if n in (0, 3) else 3) for n, score in enumerate(scores)]
        card = zoo.card(row["name"])
        for figure in ("psnr", "ssim", "lpips"):
            assert card["metrics"]["next_frame"][figure] == pytest.approx(row[figure], rel=1e-3)
        assert card["training"]["steps"] == row["steps"] == lesson["models"][0]["steps"]
        assert card["training"]["seed"] == 0


def test_the_training_of_reference_is_that_of_its_card():
    parts = [zoo.card("reference")["training"]]
    while "begun_from" in parts[-1]:
        parts.append(parts[-1]["begun_from"]["training"])
    gpu, cpu = (
        sum(part["minutes"] for part in parts if where in part["hardware"]) for where in ("H200", "CPU")
    )
    clips = sum(part["clips_seen"] for part in parts)
    told = f"{gpu:.0f} minutes of an H200 and {cpu:.0f} of the two cores, on {clips:,} clips"
    assert told in " ".join(README.split())


@pytest.mark.parametrize("name", ["best", "fast", "reference"])
def test_no_scene_that_was_trained_scores_below_copying(name):
    """Of the map's scenes of 1 to 3 digits at 1 to 7 px a frame; where nothing moves, copying is perfect."""
    found = json.loads((RESULTS / f"{name}.map.json").read_text())
    (fewest, most), (slow, quick) = found["trained"]["digits"], found["trained"]["speed_px"]
    trained = [
        cell
        for cell in found["cells"]
        if fewest <= cell["digits"] <= most and slow <= cell["speed_px"] <= quick
    ]
    assert len(trained) == 3 * 8
    assert [cell["below_copy_last"] for cell in trained] == [0] * len(trained)


# how a row of the README begins, and whose figures it holds, in their order
SPEED = {
    "`fast`, 20-frame clip": ["fast, bfloat16, 1 clip"],
    "`reference`, the same clip": ["reference, bfloat16, 1 clip"],
    "the same architecture from": [f"Keras' ConvLSTM2D, {kind}, 1 clip" for kind in ("float32", "bfloat16")],
    "and as a PyTorch ConvLSTM": [f"PyTorch, {kind}, 1 clip" for kind in ("float32", "bfloat16")],
    "`reference` against Keras": [
        f"reference, bfloat16, against {peer}, bfloat16, 1 clip" for peer in ("Keras' ConvLSTM2D", "PyTorch")
    ],
    "the same against Keras": [
        f"reference, float32, against Keras' ConvLSTM2D, float32, {clips}"
        for clips in ("1 clip", "8 clips at once", "32 clips at once")
    ],
    "training step of": ["reference against Keras' ConvLSTM2D, frames a second"],
    "perceptual and gradient": ["perceptual and gradient difference add to the step of reference"],
    "rollout 10 → 10": [
        f"explicit state, bfloat16, against growing clip with Keras' ConvLSTM2D, bfloat16, {clips}"
        for clips in ("1 clip", "8 clips at once", "32 clips at once")
    ],
    "generator against": ["vectorised against plain", "2 processes against one, 2 cores"],
    "slider to new picture": [
        "slider to new picture with fast, median",
        "sent to the browser for it, median",
    ],
    "digit dragged": [
        "digit let go to new prediction with fast, median",
        "editing: the same, 95th percentile",
    ],
    "all maps of a layer": [
        f"{network}, {what}"
        for network in ("fast", "reference")
        for what in (
            "the same with all maps of a layer, the slowest one",
            "prediction of a 20-frame clip in float32",
        )
    ],
    "inside the cell": [
        "click on a gate to the gallery of its channels, median",
        "click on a pixel to its receipt, median",
        "an intervention to its prediction with fast, median",
    ],
    "page to page": ["the slowest of them, median"],
    "20 frames of three pictures": [
        "GIF of 20 frames with three pictures",
        "MP4 of 20 frames with three pictures",
    ],
    "memory of a server": ["server with TensorFlow and fast loaded, one session"],
    "memory of each further": ["each of 8 further sessions"],
    "player with 6 pictures": ["dropped frames, 6 pictures at 20 frames/s for 10 s"],
    "thirty visitors": [
        "crowd: the same, 95th percentile",
        "crowd: faults",
        "the server's memory: growth after the first fifth",
    ],
    "first paint": ["fresh server to a real prediction, median"],
    "training page": ["refresh with 5 new rows"],
}


@pytest.mark.parametrize("begin", SPEED)
def test_speed_is_that_of_the_documented_measurement(begin):
    path = Path(__file__).resolve().parents[1] / "docs" / "performance.json"
    measured: dict[str, float] = {}
    for row in json.loads(path.read_text())["figures"]:
        measured[row["what"]] = measured[f"{row['benchmark']}: {row['what']}"] = row["value"]
    (cell,) = re.findall(rf"^\| {re.escape(begin)}[^|]*\| ([^|]+) \|", README, re.MULTILINE)
    found = re.findall(r"\d[\d,]*\.?\d*", cell)
    assert len(found) == len(SPEED[begin])
    for text, what in zip(found, SPEED[begin], strict=True):
        decimals = len(text.partition(".")[2])
        assert text.replace(",", "") == f"{measured[what]:.{decimals}f}", what
