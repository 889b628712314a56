"""What the app's own elements keep through calls that Streamlit makes in a hurry."""

import numpy as np
import pytest

from ui import charts, pad, player, stage
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
