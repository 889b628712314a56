"""Names and shapes that are computed without Keras: those of the networks that Keras builds."""

from dataclasses import replace

import pytest

from core import zoo
from core.model import CONFIGS, Network
from core.model_config import ModelConfig
from core.model_shapes import variable_shapes
from tests.core.test_model import FOLDED, SCALED, SMALL

ENCODED = replace(SCALED, name="encoded", others=False, match=(), encode=(1,), coarse=())
MATCHED = replace(FOLDED, name="matched", match=(2,), peepholes=None)
COARSE = ModelConfig("coarse", filters=(4, 16, 8), kernels=(1, 3, 3), scales=(2, 4, 2), canvas=16)
FOLLOWED = [replace(FOLDED, name="seen last", forecast=5), replace(SCALED, name="followed", forecast=9)]
FOLLOWED += [
    replace(FOLLOWED[-1], name=name, foresees=True, deep=name == "deep") for name in ("foreseen", "deep")
]
SHIPPED = [replace(zoo.config_of(name), name=f"shipped {name}") for name in zoo.model_names()]
ALL = [SMALL, FOLDED, SCALED, ENCODED, MATCHED, COARSE, *FOLLOWED, *CONFIGS.values(), *SHIPPED]


@pytest.mark.parametrize("config", ALL, ids=lambda config: config.name)
def test_shapes_are_those_that_keras_builds(config):
    variables = Network(config).variables

    shapes = variable_shapes(config)

    assert shapes == {variable.path: tuple(variable.shape) for variable in variables}
    layers = {path.split("/")[0] for path in shapes}
    for layer in layers:  # in a file of Keras' they are numbered
        built = [variable.path for variable in variables if variable.path.startswith(f"{layer}/")]
        assert [path for path in shapes if path.startswith(f"{layer}/")] == built
