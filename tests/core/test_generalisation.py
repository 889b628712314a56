"""The cells of the map differ by what its axes say, and the reach is what a network really reaches."""

import json

import numpy as np
import pytest

from core import baselines
from core.generalisation import cell_scenes, clips_of, generalisation_map, reach_px, score_cell
from core.model_config import CONFIGS, ModelConfig
from core.moving_mnist import render, to_frames
from core.scenes import Scene


class CopyLast:
    name, device = "copier", "CPU"

    def next_frames(self, frames):
        return baselines.copy_last(frames[..., 0])[..., None]


class Oracle(CopyLast):
    def next_frames(self, frames):
        return frames[:, 1:]


def test_only_the_speed_differs_between_speeds():
    for slow, fast in zip(cell_scenes(3, 2, 4), cell_scenes(3, 8, 4), strict=True):
        for one, other in zip(slow.digits, fast.digits, strict=True):
            assert (one.speed_px, other.speed_px) == (pytest.approx(2), pytest.approx(8))
            assert one.direction_deg == pytest.approx(other.direction_deg, abs=1e-6)
            assert (one.digit_class, one.exemplar, one.x, one.y) == (
                other.digit_class, other.exemplar, other.x, other.y,
            )  # fmt: skip


def test_fewer_digits_are_the_first_of_more_and_fewer_clips_likewise():
    four = cell_scenes(4, 3, 5)
    assert [scene.digits[:2] for scene in four] == [scene.digits for scene in cell_scenes(2, 3, 5)]
    assert cell_scenes(4, 3, 2) == four[:2]
    assert len({scene.digits for scene in four}) == 5
    assert cell_scenes(4, 3, 5, seed=1) != four


def test_the_scenes_are_as_the_standard_set_is():
    for scene in cell_scenes(2, 10, 3):
        assert (scene.split, scene.bounce, scene.frames, scene.canvas) == ("test", "clamp", 20, 64)
        assert scene.resolved() == scene


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, 2), "digits must be 1 to 4; got 0"),
        ((1, 10.5, 2), "speed must be 0 to 10 px a frame; got 10.5"),
        ((1, float("nan"), 2), "speed must be 0 to 10 px a frame; got nan"),
        ((1, 3, 0), "clips must be 1 or more; got 0"),
    ],
)
def test_what_is_no_cell_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cell_scenes(*arguments)


def test_scores_of_copying_and_of_knowing():
    scenes = cell_scenes(2, 4, 3)
    copied, known = score_cell(CopyLast(), scenes), score_cell(Oracle(), scenes)
    frames = to_frames(clips_of(scenes))
    by_hand = ((frames[:, 1:] - frames[:, :-1]) ** 2).sum(axis=(2, 3)).mean()
    assert copied["mse_sum"] == pytest.approx(by_hand)
    assert copied["copy_last_mse_sum"] == known["copy_last_mse_sum"] == pytest.approx(by_hand)
    assert copied["skill"] == pytest.approx(0, abs=1e-6)
    assert copied["centroid_px"] > 0.5
    assert (known["mse_sum"], known["skill"], known["centroid_px"]) == (0, 1, 0)


def test_where_nothing_moves_there_is_no_skill():
    assert score_cell(CopyLast(), cell_scenes(1, 0, 2))["skill"] is None


def test_the_map_and_its_example_scenes():
    done = []
    found = generalisation_map(
        CopyLast(), reach=7, moves=5, speeds_px=(0, 5), digits=(1, 3), clips_a_cell=2, progress=done.append
    )
    assert [(cell["digits"], cell["speed_px"]) for cell in found["cells"]] == [(1, 0), (1, 5), (3, 0), (3, 5)]
    assert done == [1, 2, 3, 4]
    assert found["trained"] == {"digits": [1, 3], "speed_px": [0, 7]}
    assert (found["model"], found["reach_px"], found["moves_px"]) == ("copier", 7, 5)
    assert found["clips_a_cell"] == 2
    scene = Scene.from_json(json.dumps(found["cells"][3]["scene"]))
    clips = clips_of(cell_scenes(3, 5, 2))
    assert any((render(scene) == clip).all() for clip in clips)


def reached(config):
    """How far a changed pixel of a one-frame clip moves the prediction, the least over pixels and sides."""
    from core.inference import Predictor
    from core.model import Network

    model = Predictor(Network(config))
    rng = np.random.default_rng(0)
    for variable in model.network.training_model(1).variables:  # no ReLU so dead that nothing passes
        if "norm" not in variable.path:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    middle = config.canvas // 2
    frames = rng.uniform(size=(1, 2, config.canvas, config.canvas, 1)).astype(np.float32)
    before, distances = model.next_frames(frames), []
    for place in range(middle, middle + config.patch):
        changed = frames.copy()
        changed[0, 0, place, place] = 1 - changed[0, 0, place, place]
        rows = np.flatnonzero((before != model.next_frames(changed))[0, 0, :, :, 0].any(axis=1))
        distances += [place - rows[0], rows[-1] - place]
    return min(distances), max(distances)


def test_a_coarser_grid_reaches_further():
    config = ModelConfig(
        "tiny", (4, 4, 4), (3, 3, 3), patch=2, peepholes=None, canvas=48, scales=(1, 2, 1), motions=1
    )
    assert reach_px(config) == 2 * (1 + 2 + 1 + 1)
    least, most = reached(config)
    assert reach_px(config) <= least <= most <= reach_px(config) + 2 * 2 * config.patch


@pytest.mark.parametrize(("kernels", "patch", "reach"), [((5, 3, 1), 1, 4), ((3,), 2, 4), ((3, 3), 4, 12)])
def test_the_reach_is_what_a_network_reaches(kernels, patch, reach):
    config = ModelConfig(
        "tiny", (6,) * len(kernels), kernels, patch=patch, peepholes=None, canvas=32 if patch < 4 else 48
    )
    assert reach_px(config) == reach
    assert reached(config) == (reach, reach + patch - 1)


def test_the_reach_of_the_shipped_models():
    assert (reach_px(CONFIGS["reference"]), reach_px(CONFIGS["fast"])) == (4, 20)
