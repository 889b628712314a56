"""What libraries write while they load is held back, unless it tells why they failed."""

import os

import pytest

from core.quiet import STDERR_DESCRIPTOR, quiet_stderr


def note():
    os.write(STDERR_DESCRIPTOR, b"a note\n")  # as native code does, past sys.stderr


def test_notes_are_held_back(capfd):
    with quiet_stderr():
        note()
    note()
    assert capfd.readouterr().err == "a note\n"


@pytest.mark.parametrize(("error", "shown"), [(ImportError, "a note\n"), (KeyboardInterrupt, "")])
def test_they_are_shown_if_loading_fails_but_not_if_it_is_told_to_end(capfd, error, shown):
    def load():
        with quiet_stderr():
            note()
            raise error

    with pytest.raises(error):
        load()
    assert capfd.readouterr().err == shown
