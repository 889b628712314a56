"""The form's settings make a network and a test that are what it says."""

from dataclasses import replace

import numpy as np
import pytest

from core.model_config import CONFIGS, PATCHES, ModelConfig
from core.model_shapes import variable_shapes
from core.runs import Run
from core.train_config import TrainConfig, default_config
from ui import training_form

OF_BLOCKS = ("motions", "match", "encode", "coarse", "others", "forecast", "deep", "followed", "foresees")
PRESETS = tuple(training_form._PRESETS)


@pytest.fixture
def filled(monkeypatch):
    """What the form gives when it is filled in like this; all else is as the preset has it."""

    def read(preset, layers, patch, peepholes):
        model, config = CONFIGS[preset], default_config(preset)
        held = {"layers": layers, "patch": patch, "peepholes": peepholes, "minutes": 3.0}
        held |= {"rate": config.learning_rate, "schedule": config.schedule, "share": config.standard_share}
        held |= {f"loss_{part}": config.loss.get(part, 0.0) for part in training_form.PARTS}
        values = {f"new_{name}_{preset}": value for name, value in held.items()}
        for number in range(layers):
            like = min(number, len(model.filters) - 1)
            values[f"new_filters_{preset}_{number}"] = model.filters[like]
            values[f"new_kernel_{preset}_{number}"] = model.kernels[like]
        monkeypatch.setattr(training_form.state, "value", values.__getitem__)
        return training_form.read(preset)

    return read


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_choice_is_a_network_that_can_be_built_and_described(filled, preset, patch):
    for layers in range(1, training_form.MAX_LAYERS + 1):
        for peepholes in training_form._PEEPHOLES:
            config = filled(preset, layers, patch, peepholes)
            assert (len(config.model.filters), config.model.patch) == (layers, patch)
            assert ModelConfig.from_json(config.model.to_json()) == config.model
            assert variable_shapes(config.model)
            of = "layer of" if layers == 1 else "layers of"
            assert f"{layers} {of} {config.model.filters[0]}" in training_form.describe(config)


@pytest.mark.parametrize("preset", PRESETS)
def test_single_pixels_have_nothing_that_is_made_for_blocks(filled, preset):
    base, plain = CONFIGS[preset], ModelConfig("plain", (1,), (1,))
    layers, peepholes = len(base.filters), base.peepholes
    for patch in PATCHES:
        model = filled(preset, layers, patch, peepholes).model
        like = plain if patch == 1 else base
        assert [getattr(model, name) for name in OF_BLOCKS] == [getattr(like, name) for name in OF_BLOCKS]
    assert filled(preset, layers, base.patch, peepholes).model == base


@pytest.mark.parametrize(
    ("change", "after", "shows_truth"),
    [
        ({}, None, False),
        ({"rollout": 1.0}, 3, False),
        ({"learn": "forecast"}, 3, True),
        ({"learn": "forecast", "context_frames": 6}, 4, True),  # a test is shorter than its clips
        ({"learn": "forecast", "rollout": 1.0}, 3, False),
        ({"learn": "foresight"}, None, False),
    ],
)
def test_a_run_is_tested_as_the_page_says(eagerly, tmp_path, monkeypatch, change, after, shows_truth):
    from core import scorer, train_config
    from core.training import Trainer

    for module in (scorer, train_config):
        monkeypatch.setattr(module, "VALIDATION_FRAMES", 6)
    model = ModelConfig(
        "tiny", (4,), (3,), patch=4, peepholes=None, motions=1, match=(1,), forecast=8, foresees=True
    )
    config = TrainConfig(model, epochs=1, frames=8, context_frames=3, loss={"bce": 1.0}, validation_clips=1)
    config = replace(config, **change)
    run = Run(tmp_path / "run")
    run.create(config)

    tested = scorer.Scorer(Trainer(config, run))

    assert config.tested_after == after
    assert tested._first_target == (after or 1)
    truth, shown = run.read_snapshot("truth"), tested.snapshot()
    known = (after or 3) - 1
    assert np.array_equal(shown[:known], truth[1 : known + 1]) is shows_truth
    assert not np.array_equal(shown[known], truth[known + 1])
