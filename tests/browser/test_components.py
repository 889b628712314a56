"""What the app's own elements keep through calls that Streamlit makes in a hurry."""

from dataclasses import replace

import numpy as np
import pytest

from core.inspection import Trace
from tests.ui.test_inside import TIME, clip, make_trace
from ui import charts, inside, microscope, pad, pictures, player, stage
from ui import component as component_of
from ui.link import default_settings

# A call that newer data overtakes is told to clean up, although its element stays.
OVERTAKEN = """async ([source, html, data]) => {
  const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const host = document.createElement("div");
  document.body.append(host);
  const parentElement = host.attachShadow({ mode: "open" });
  parentElement.innerHTML = html;
  const call = () => module.default({ parentElement, data, setTriggerValue: () => {} });
  const built = async () => {
    while (!parentElement.firstElementChild.firstElementChild) await new Promise(requestAnimationFrame);
    return parentElement.firstElementChild.firstElementChild;
  };
  const cleanUp = call();
  const before = await built();
  cleanUp();
  const last = call();
  await new Promise((done) => setTimeout(done, 300)); // in which one that began anew would have built itself
  const kept = before === (await built());
  host.remove();
  last();
  return kept;
}"""

# What the microscope shows after each of several calls, with the keyboard on its first button.
SHOWN = """async ([source, calls]) => {
  const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const host = document.createElement("div");
  document.body.append(host);
  const parentElement = host.attachShadow({ mode: "open" });
  parentElement.innerHTML = '<div class="microscope"></div>';
  const root = parentElement.firstElementChild;
  const shown = [];
  for (const [data, sheet] of calls) {
    [window.gallerySheet] = sheet;
    module.default({ parentElement, data, setTriggerValue: () => {} });
    while (Number(root.dataset.loads) !== shown.length + 1) await new Promise(requestAnimationFrame);
    if (!shown.length) root.querySelector("button").focus();
    shown.push({
      scale: root.querySelector(".scale").textContent,
      peepholes: root.querySelectorAll(".peep").length,
      explained: root.querySelector(".key").textContent.includes("Dashed: peepholes"),
      focus: root.querySelector("button") === parentElement.activeElement,
      chosen: [...root.querySelectorAll("[aria-pressed=true]")].map((part) => part.ariaLabel),
    });
  }
  host.remove();
  return shown;
}"""


def show_player():
    player.clip_player([player.Panel("truth", "Clip", frames=np.zeros((5, 64, 64), np.uint8))], key="player")


def show_stage():
    scene = default_settings()
    stage.scene_stage(scene, selected=0, undo=False, redo=False, key="stage", on_move=print, on_act=print)


def show_chart():
    charts.show({"title": "Loss", "hint": "", "unit": "", "digits": 3, "log": False, "lines": []}, "chart")


@pytest.mark.parametrize(
    ("module", "component", "show"),
    [
        (player, "_PLAYER", show_player),
        (stage, "_STAGE", show_stage),
        (pad, "_PAD", lambda: pad.drawing_pad(key="pad", on_drawn=print)),
        (charts, "_CHART", show_chart),
    ],
)
def test_an_overtaken_call_takes_nothing_away(page, monkeypatch, module, component, show):
    told = []
    monkeypatch.setattr(module, component, lambda data=None, **_: told.append(data))
    show()
    name = module.__name__.removeprefix("ui.")
    element = "chart" if name == "charts" else name

    assert page.evaluate(OVERTAKEN, [component_of.script(name), f'<div class="{element}"></div>', told[0]])


def microscope_data(trace: Trace, peepholes: bool) -> dict:
    """The cell state of a trace, as the page gives it to the microscope."""
    return {
        "clip": pictures.sprite(clip()[:TIME]),
        "prediction": pictures.sprite(trace.predictions),
        "canvas": 64,
        "maps": {key: {"title": one.title, "says": one.says} for key, one in inside.MAPS.items()},
        "chosen": "c",
        "gallery": inside.gallery(trace, "c", clip()),
        "large": inside.one_channel(trace, "c", 1),
        "activity": inside.activity(trace),
        "pixel": None,
        "receipts": [],
        "peepholes": peepholes,
        "scale": trace.scale,
        "reach": 8,
        "kernel": 3,
    }


def test_a_microscope_shows_the_scale_and_the_peepholes_of_what_came_last(page, monkeypatch):
    """Maps of another scene, or of another network, of the same sizes."""
    told = []
    monkeypatch.setattr(microscope, "_MICROSCOPE", lambda data, **_: told.append([data]))
    monkeypatch.setattr(microscope, "_SHEET", lambda data, **_: told[-1].append(data))
    first, second = make_trace(0), make_trace(1)
    rising = replace(first, c=np.abs(3 * first.c))
    for trace, peepholes in ((first, True), (second, False), (rising, True)):
        data = microscope_data(trace, peepholes)
        microscope.gate_microscope(data, key="scope", on_map=print, on_channel=print, on_pixel=print)

    shown = page.evaluate(SHOWN, [component_of.script("microscope"), told])

    high = [float(np.abs(trace.c).max()) for trace in (first, second, rising)]
    ends = [f"−{high[0]:.2f}{high[0]:.2f}", f"−{high[1]:.2f}{high[1]:.2f}", f"0{high[2]:.2f}"]
    assert [one["scale"].removesuffix("the same at all times and in all channels") for one in shown] == ends
    assert [(one["peepholes"], one["explained"]) for one in shown] == [(3, True), (0, False), (3, True)]
    assert all(one["focus"] for one in shown)
    assert all(one["chosen"] == ["Cell: show its maps", "Channel 2"] for one in shown)
