import json

import pytest

from core.damage import read_json, shortened, shown


def test_json_is_read_or_a_value_error():
    assert read_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    for text in ("", "{", "[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match="nested too deeply|Expecting"):
            read_json(text)
    with pytest.raises(json.JSONDecodeError):
        read_json("no")


def test_what_is_in_a_sentence_is_short_and_on_one_line():
    assert shown(3.5) == "3.5"
    assert shown("a\nb") == r"'a\nb'"
    assert shortened("a\nb\x1b[2Jé") == "a?b?[2Jé"
    assert shortened("x" * 80) == "x" * 80
    assert shortened("x" * 81) == "x" * 80 + " …"
    assert len(shown(list(range(10_000)))) == 82
