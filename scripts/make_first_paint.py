"""Make assets/first_paint.npz: the prediction that a fresh server shows while the model loads.

    python scripts/make_first_paint.py [--model fast]

Run it after the model's weights have changed; the app ignores a file that belongs to other weights.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core import zoo
from ui.link import default_settings
from ui.prediction import FIRST_PAINT, predict, save_first_paint, verdict


def main(argv: list[str] | None = None) -> int:
    """Predict the default scene and store what came out."""
    parser = argparse.ArgumentParser(description="Store the prediction that a fresh server shows first.")
    parser.add_argument("--model", default="fast", help="name of a shipped model (default: fast)")
    parser.add_argument("--out", type=Path, default=FIRST_PAINT, help="file to write")
    arguments = parser.parse_args(argv)
    try:
        predictor = zoo.load(arguments.model)
    except zoo.ModelError as error:
        print(f"make_first_paint.py: {error}", file=sys.stderr)
        return 2
    scene = default_settings().scene()
    prediction = predict(predictor, scene, "next-frame", 0, 0)
    try:
        save_first_paint(prediction, scene, arguments.model, arguments.out)
    except OSError as error:
        print(f"make_first_paint.py: cannot write {arguments.out} ({error.strerror})", file=sys.stderr)
        return 2
    psnr = prediction.scores["psnr"].mean()
    print(f"{arguments.out}: {len(prediction.frames)} frames, {psnr:.2f} dB. {verdict(prediction)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
