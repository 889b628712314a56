"""Where this server keeps its runs, and whether its visitors may train."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "assets" / "runs"
FOLDER_VARIABLE = "CONVLSTM_RUNS"
ACCESS_VARIABLE = "CONVLSTM_TRAINING"
_OWN_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """Whether training runs may be started, stopped, resumed and deleted from the page; if not, why not."""

    allowed: bool
    reason: str = ""


def access(setting: str | None, address: str | None) -> Access:
    """What a setting and the address that the server listens on allow.

    Parameters
    ----------
    setting : "on", "off", or None where nothing is set; anything else allows nothing
    address : Streamlit's `server.address`; None is every address of the machine
    """
    switch = f"Whoever runs the server can switch it on: start it with {ACCESS_VARIABLE}=on."
    if setting == "on":
        return Access(True)
    if setting == "off":
        return Access(False, f"Training from this page is switched off ({ACCESS_VARIABLE}=off). {switch}")
    if setting is not None:
        return Access(
            False,
            f"{ACCESS_VARIABLE} must be on or off; got “{setting}”. Training from this page stays off.",
        )
    if address in _OWN_MACHINE:
        return Access(True)
    where = f"on {address}" if address else "on every address of its machine"
    return Access(
        False,
        f"Training from this page is off, because this server listens {where}, where others can reach it. "
        + switch,
    )


def current_access() -> Access:
    """What this server allows."""
    return access(os.environ.get(ACCESS_VARIABLE) or None, st.get_option("server.address"))


def runs_folder() -> Path:
    """The folder of this server's own runs."""
    return Path(os.environ.get(FOLDER_VARIABLE) or ROOT / "runs")
