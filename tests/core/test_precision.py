"""The choice of precision."""

import pytest

from core import precision
from core.precision import resolve_precision


def test_what_is_asked_for_is_kept():
    assert resolve_precision("float32") == "float32"
    assert resolve_precision("mixed_bfloat16") == "mixed_bfloat16"


@pytest.mark.parametrize(("has_it", "policy"), [(True, "mixed_bfloat16"), (False, "float32")])
def test_auto_follows_the_hardware(monkeypatch, has_it, policy):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: has_it)
    monkeypatch.setattr(precision.keras.distribution, "list_devices", lambda: ["cpu:0"])
    assert resolve_precision("auto") == policy


@pytest.mark.parametrize("device", ["gpu:0", "GPU:1", "cuda:0"])
def test_auto_takes_bfloat16_on_a_gpu(monkeypatch, device):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    monkeypatch.setattr(precision.keras.distribution, "list_devices", lambda: [device])
    assert resolve_precision("auto") == "mixed_bfloat16"


def test_others_are_refused():
    with pytest.raises(
        ValueError, match="precision must be one of auto, float32, mixed_bfloat16; got 'int8'"
    ):
        resolve_precision("int8")
