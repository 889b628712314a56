"""What a prediction loses where it is computed in less than float32: mean PSNR of standard clips."""

from __future__ import annotations

from benchmarks.inference import policy, precisions, some_clips
from benchmarks.measure import Figure
from core.metrics import per_frame

MOST_DB = 0.05
MODELS = ("fast", "best", "reference")


def run(*, clips: int = 32, models: tuple[str, ...] = MODELS) -> list[Figure]:
    """PSNR lost by each shipped model, next-frame and in rollouts; nothing where float32 is the quickest."""
    from core import zoo

    exact, *lower = precisions()
    figures = []
    for name in models:
        truth = some_clips(clips, 20, zoo.config_of(name).canvas)
        psnr = {}
        for precision in (exact, *lower):
            predictor = zoo.load(name, policy(precision))
            made = predictor.next_frames(truth), predictor.rollout(truth[:, :10], 10)
            psnr[precision] = [
                float(per_frame(seen[..., 0], predicted[..., 0])["psnr"].mean())
                for seen, predicted in zip((truth[:, 1:], truth[:, 10:]), made, strict=True)
            ]
        for precision in lower:
            for way, whole, rounded in zip(
                ("next-frame", "rollout 10 → 10"), psnr[exact], psnr[precision], strict=True
            ):
                what = f"{name}, {way}: PSNR lost by {precision}, mean of {clips} clips"
                figures.append(Figure("rounding", what, whole - rounded, "dB", MOST_DB))
    return figures
