"""Reports of `core.evaluation` as tables for a terminal."""

from __future__ import annotations

from typing import Any

NAME_WIDTH = 21
# Heading, key, width and decimals of each column.
Column = tuple[str, str, int, int]
COLUMNS: tuple[Column, ...] = (
    ("PSNR dB", "psnr", 9, 2),
    ("of mean", "psnr_of_mean_mse", 9, 2),
    ("SSIM", "ssim", 8, 4),
    ("MSE", "mse_sum", 9, 2),
    ("MAE", "mae_sum", 9, 2),
)
LPIPS_COLUMN: Column = ("LPIPS", "lpips", 8, 4)
SKILL_COLUMN: Column = ("skill", "skill", 7, 2)
OPENSTL_COLUMNS: tuple[Column, ...] = (
    ("mse_openstl", "mse_openstl", 13, 2),
    ("mae_openstl", "mae_openstl", 13, 2),
    ("ssim_openstl", "ssim_openstl", 14, 4),
)
STEP_COLUMNS: tuple[Column, ...] = (
    ("PSNR", "psnr", 7, 2),
    ("SSIM", "ssim", 7, 3),
    ("MSE", "mse_sum", 8, 1),
    ("MAE", "mae_sum", 7, 1),
)
LPIPS_STEP_COLUMN: Column = ("LPIPS", "lpips", 7, 3)
LEAK = "{model} LEAKS: its predictions have seen the frames that they are of, and these scores mean nothing."


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 sequence", "1,000 sequences"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def task_words(report: dict[str, Any]) -> str:
    """What was predicted: "next-frame", "rollout 10 -> 10"."""
    rollout = f" {report['context']} -> {report['horizon']}" if report["mode"] == "rollout" else ""
    return report["mode"] + rollout


def _heading(columns: tuple[Column, ...]) -> str:
    return "".join(f"{heading:>{width}}" for heading, _, width, _ in columns)


def _cells(figures: dict[str, Any], columns: tuple[Column, ...]) -> str:
    values = ((figures[key], width, decimals) for _, key, width, decimals in columns)
    return "".join(
        f"{'-':>{width}}" if value is None else f"{value:{width}.{decimals}f}"
        for value, width, decimals in values
    )


def _predictors(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and figures of the model and of each baseline."""
    return [
        (report["model"], report),
        *((name.replace("_", "-"), figures) for name, figures in report["baselines"].items()),
    ]


def score_table(report: dict[str, Any]) -> str:
    """The figures for a person to read."""
    predictors = _predictors(report)
    name_width = max(NAME_WIDTH, 2 + max(len(name) for name, _ in predictors))
    columns = (*COLUMNS, *([LPIPS_COLUMN] if "lpips" in report else []), SKILL_COLUMN)

    def block(title: str, columns: tuple[Column, ...], part: str | None = None) -> list[str]:
        return [f"{title:<{name_width}}{_heading(columns)}"] + [
            f"{name:<{name_width}}{_cells(figures[part] if part else figures, columns)}"
            for name, figures in predictors
        ]

    sequences = count(report["sequences"], "sequence")
    predicted = count(report["predicted_frames"], "predicted frame")
    pace = f"{report['seconds']:.2f} s, {report['frames_per_second']:.0f} predicted frames a second"
    notes = ["PSNR: mean over frames, and of the mean MSE. MSE, MAE: summed over the pixels of a frame."]
    lines = [
        f"{report['data']}, {task_words(report)}: {sequences}, {predicted} of each",
        "",
        *block("all predictions", columns),
    ]
    if "without_first_prediction" in report:
        lines += ["", *block("without the first", columns, "without_first_prediction")]
        notes.append("The first prediction is made before any motion is seen.")
    if report["sequences"] > 1:
        errors = report["standard_error"]
        notes.append(
            f"Standard errors of {report['model']}, as sequences differ: PSNR {errors['psnr']:.2f} dB, "
            f"SSIM {errors['ssim']:.4f}, MSE {errors['mse_sum']:.2f}."
        )
    if not report["causal"]:
        notes.append(LEAK.format(**report))
    computed = f"{report['device']}, {report['precision']}, {report['backend']}"
    lines += ["", *block("as OpenSTL measures", OPENSTL_COLUMNS), "", *notes, f"{computed}: {pace}"]
    return "\n".join(lines)


def step_table(report: dict[str, Any]) -> str:
    """A row for each predicted frame, counted from 1 as the app counts; the model, then the baselines."""
    columns = (*STEP_COLUMNS, *([LPIPS_STEP_COLUMN] if "lpips" in report else []))
    width, gap = len(_heading(columns)), "  "
    predictors = _predictors(report)
    lines = [
        "frame"
        + "".join(f"{gap}{name[:width]:^{width}}".rstrip().ljust(width + 2) for name, _ in predictors),
        "     " + "".join(f"{gap}{_heading(columns)}" for _ in predictors),
    ]
    for step in range(report["predicted_frames"]):
        line = f"{report['first_target'] + step + 1:5d}"
        for _, figures in predictors:
            values = {name: values[step] for name, values in figures["per_step"].items()}
            line += gap + _cells(values, columns)
        lines.append(line)
    return "\n".join(line.rstrip() for line in lines)
