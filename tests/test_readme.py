"""The README's figures are those of the model cards."""

import json
import re
from pathlib import Path

import pytest

from core import zoo

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
ROW = re.compile(r"^\| `?([\w-]+)`?[^|]*\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)


def rows(heading):
    """Name and figures of each row of the table under a heading."""
    table = README.split(f"| {heading}", 1)[1].split("\n\n", 1)[0]
    return {name: [float(value) for value in figures] for name, *figures in ROW.findall(table)}


@pytest.mark.parametrize(("heading", "key"), [("next-frame", "next_frame"), ("rollout", "rollout_10_10")])
def test_tables_hold_the_cards_figures(heading, key):
    expected = {}
    for name in zoo.model_names():
        metrics = zoo.card(name)["metrics"]
        expected[name] = metrics[key]
        if name == "fast":
            expected["copy-last"] = metrics[f"{key}_copy_last"]
    found = rows(heading)
    assert set(found) == set(expected)
    for name, scores in expected.items():
        assert found[name] == [
            round(scores["psnr"], 2),
            round(scores["ssim"], 3),
            round(scores["mse_sum"], 1),
        ]


def test_commands_of_the_readme_name_files_that_exist():
    root = Path(__file__).resolve().parents[1]
    for path in re.findall(r"python (\w+\.py|scripts/\w+\.py)", README):
        assert (root / path).is_file()
    for module in re.findall(r"python -m (scripts\.\w+)", README):
        assert (root / (module.replace(".", "/") + ".py")).is_file()
    for picture in re.findall(r"\]\((assets/[^)]+)\)", README):
        assert (root / picture).is_file()


def test_the_limit_is_that_of_its_file():
    path = Path(__file__).resolve().parents[1] / "assets" / "results" / "observer.json"
    limit = json.loads(path.read_text())
    assert limit["made_by"] in README
    table = README.split("| ideal observer |", 1)[1].split("\n\n", 1)[0]
    found = [[float(cell) for cell in line.split("|")[2:5]] for line in table.splitlines()[2:]]
    expected = [limit["next_frame"], limit["next_frame"]["without_first_prediction"], limit["rollout"]]
    assert found == [
        [round(row["psnr_of_mean_mse"], 2), round(row["ssim"], 3), round(row["mse_sum"], 1)]
        for row in expected
    ]
