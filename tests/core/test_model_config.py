"""What a network looks like: checked, and the same after a round trip through JSON."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model_config import CONFIGS, HEADS, PATCHES, ModelConfig

SMALL = ModelConfig("small", filters=(4, 3), kernels=(3, 1), canvas=16)


@st.composite
def configs(draw):
    layers = draw(st.integers(1, 5))
    patch = draw(st.sampled_from(PATCHES))
    return ModelConfig(
        draw(st.text()),
        tuple(draw(st.lists(st.integers(1, 512), min_size=layers, max_size=layers))),
        tuple(draw(st.lists(st.sampled_from((1, 3, 5, 7)), min_size=layers, max_size=layers))),
        patch,
        draw(st.sampled_from(("spatial", "channel", None))),
        draw(st.sampled_from(HEADS)),
        patch * draw(st.integers(1, 32)),
        motions=draw(st.integers(0, 3)),
        reach=draw(st.integers(1, 8)),
        match=(1,) * draw(st.integers(0, 1)),
    )


@given(config=configs())
def test_json_round_trip(config):
    assert ModelConfig.from_json(config.to_json()) == config


def test_scales_come_back_from_json_as_they_were():
    config = replace(SMALL, filters=(4, 8), scales=(1, 2))
    assert ModelConfig.from_json(config.to_json()) == config
    assert config.layer_scales == (1, 2)
    assert SMALL.layer_scales == (1, 1)


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_are_known_by_their_own_name(name):
    assert CONFIGS[name].name == name
    assert ModelConfig.from_json(CONFIGS[name].to_json()) == CONFIGS[name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": (4,)}, r"one entry a layer; got \(4,\) and \(3, 1\)"),
        ({"filters": (), "kernels": ()}, r"one entry a layer; got \(\) and \(\)"),
        ({"kernels": (3, 2)}, r"kernels must be odd; got \(3, 2\)"),
        ({"filters": (4, 0)}, "must be 1 or more"),
        ({"filters": (4, 2.5)}, "must be 1 or more"),
        ({"patch": 3}, "patch must be one of"),
        ({"patch": 2.0}, r"patch must be one of .*; got 2\.0"),
        ({"scales": (1, True)}, r"for each layer; got \(1, True\)"),
        (
            {"head": "leaky", "forecast": 8},
            "forecast must be 0 with the leaky head, which cannot make the rollouts that it is for; got 8",
        ),
        ({"foresees": True}, "foresees must be true or false, and needs forecast; got True"),
        ({"foresees": 1, "forecast": 8}, "foresees must be true or false, and needs forecast; got 1"),
        ({"followed": 0, "forecast": 8}, "followed must be a whole number, 1 or more; got 0"),
        ({"followed": 2}, "followed above 1 needs forecast; got 2"),
        ({"head": "acausal"}, "head must be one of causal, leaky; got 'acausal'"),
        ({"peepholes": "some"}, "peepholes must be"),
        ({"patch": 4, "canvas": 18}, "canvas must be a multiple of patch"),
        ({"canvas": 0}, "canvas must be a multiple of patch"),
        ({"motions": -1}, "motions must be a whole number, 0 or more; got -1"),
        ({"motions": True}, "motions must be a whole number, 0 or more; got True"),
        ({"match": (0,)}, r"different numbers of frames, 1 to 8; got \(0,\)"),
        ({"match": (1, 1)}, r"different numbers of frames, 1 to 8; got \(1, 1\)"),
        ({"match": (9,)}, r"1 to 8; got \(9,\)"),
        ({"encode": (1, 1), "motions": 1}, r"encode must be different numbers of frames, .* got \(1, 1\)"),
        ({"encode": (1,)}, r"encode needs a motion head, motions of 1 or more; got \(1,\)"),
        ({"others": True}, "others must be true or false, and needs encode; got True"),
        *(
            (
                {"match": (1, 3), "encode": (1, 2, 3), "motions": 1, "coarse": coarse},
                rf"coarse must be of encode, but neither of match nor the nearest; got \({coarse[0]},\)",
            )
            for coarse in ((1,), (3,), (4,))
        ),
        (
            {"others": 1, "encode": (1,), "motions": 1},
            "others must be true or false, and needs encode; got 1",
        ),
        ({"match": (1, 3), "patch": 4, "canvas": 20}, "canvas must be a multiple of 8, the cells"),
        ({"reach": 0}, "reach must be a whole number, 1 or more; got 0"),
        ({"scales": (2,)}, r"scales need one of \(1, 2, 4\) for each layer; got \(2,\)"),
        ({"scales": (1, 3)}, r"for each layer; got \(1, 3\)"),
        ({"scales": (4, 1), "patch": 4, "canvas": 24}, r"multiple of patch x scale \(16\); got 24"),
        ({"scales": (1, 2)}, "filters of a layer before a finer one must be a multiple of 4; got 3"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        '{"name": "x"}',
        '{"name": "x", "filters": 3, "kernels": 3}',
        '{"name": "x", "filters": [3], "kernels": [3], "layers": 1}',
        '{"name": "x", "filters": [3], "kernels": [3], "scales": 1}',
        "{",
    ],
)
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match="model configuration|Expecting"):
        ModelConfig.from_json(text)
