"""Hostile input, by the thousand: what arrives is used, or refused in one sentence, and nothing else happens.

`python -m tests.fuzz --cases 10000`; the tests do it with a few hundred. A case is what a person, a browser
or another machine may send (a link, a file, a component's message, the body of a request, a folder of runs),
changed at random. Python itself tells what is done meanwhile (`sys.addaudithook`): a process that is started,
code that is run, an object that is unpickled, a connection, a file that is written outside the case's own
folder ends the search, and so does any exception but the one that says what is wrong.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core import drawings, films, own_weights, uploads
from core.clip_sets import ClipFile, ClipSetError
from core.drawings import DrawingError
from core.history import HistoryError
from core.model_config import ModelConfig
from core.prediction_request import PredictionRequest, PredictionResult
from core.run_list import describe, list_runs, named_run
from core.runs import RunError
from core.scenes import Scene, SceneError, preset_scenes
from core.train_config import TrainConfig, default_config
from core.weights import WeightsError, load_arrays
from core.wire import Answer, Request, WireError, decode_answer, decode_request, encode_answer, encode_request
from tests import run_folders
from tests.weights_files import npz, weights_of
from ui import inside, link, pad, stage
from ui.link import default_settings

MOST_SENTENCE = 2000  # characters
MOST_GROWTH_MB = 600  # of memory, over all cases
MOST_SECONDS = 20.0  # a case
SMALL = ModelConfig("small", (4,), (3,), patch=4, peepholes="channel")
# What Python does when a thing is executed, or reaches out.
FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle.find_class",
    "socket.connect",
    "socket.bind",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "shutil.rmtree",
    "exec",
)
INTERESTING = (0, 1, 2, 127, 128, 255)


class Watch:
    """What is done while a case runs that must not be."""

    def __init__(self) -> None:
        self._on, self._folder = False, ""
        self.found: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event in FORBIDDEN and not self._harmless(event, arguments):
            self.found.append(f"{event} {arguments!r}"[:300])
        elif event == "open" and not isinstance(arguments[0], int) and _writes(*arguments[1:3]):
            path = os.fsdecode(arguments[0])
            if not path.startswith(self._folder) and path != os.devnull:
                self.found.append(f"opened {path!r} to write")

    def _harmless(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event in ("os.remove", "os.rename", "os.rmdir"):  # of its own folder
            return str(arguments[0]).startswith(self._folder)
        # code has the name of its file, or none where it was a text
        return event == "exec" and not str(arguments[0].co_filename).startswith(("<string>", "<unknown>"))

    @contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        """Listen; files may be written in a folder."""
        self.found, self._folder, self._on = [], str(folder), True
        try:
            yield
        finally:
            self._on = False


def _writes(mode: str | None, flags: int) -> bool:
    if mode is None:  # os.open
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return bool(set(mode) & set("wax+"))


@dataclass(frozen=True)
class Surface:
    """A way in.

    Attributes
    ----------
    seeds : what is good there, bytes
    use : takes bytes, and a folder of its own
    refusals : what it may raise, with one sentence
    writes : whether it is a file, which takes time to write: such a way is tried less often
    """

    name: str
    seeds: list[bytes]
    use: Callable[[bytes, Path], object]
    refusals: tuple[type[Exception], ...] = ()
    writes: bool = False


# ------------------------------------------------------------------------------------------------ changes


def changed(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The data with one to six changes."""
    if rng.random() < 0.05:
        return rng.randbytes(rng.choice((0, 1, 7, 64, 1000)))
    result = bytearray(data)
    if data[:2] == b"PK" and rng.random() < 0.5:
        return _other_archive(data, rng)
    if data[:1] == b"{" and rng.random() < 0.5:
        return _other_json(data, rng)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(result) + 1)
        length = rng.choice((1, 2, 4, 8, 30, 300))
        kind = rng.randrange(9)
        if kind == 0:
            result[place : place + 1] = bytes([rng.choice(INTERESTING)])
        elif kind == 1:
            result[place : place + length] = rng.randbytes(length)
        elif kind == 2:
            del result[place : place + length]
        elif kind == 3:
            del result[place:]
        elif kind == 4:
            result[place:place] = result[place : place + length] * rng.choice((1, 2, 50))
        elif kind == 5:
            other = rng.choice(others)
            at = rng.randrange(len(other) + 1)
            result[place : place + length] = other[at : at + length]
        elif kind == 6:
            result[place : place + 4] = rng.choice((-1, 0, 2**31 - 1, 2**16)).to_bytes(
                4, "little", signed=True
            )
        else:
            result[place : place + (length if kind == 7 else 0)] = rng.choice(WORDS)
    return bytes(result)


WORDS = [
    *(
        b"9" * 400,
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
        b"[]",
        b"{}",
        b'"',
        b"\\",
        b"\x00",
        b"../../../etc/passwd",
    ),
    *(
        b"/etc/passwd",
        b"\xff\xfe",
        "\u202e\u0661".encode(),
        b"<script>alert(1)</script>",
        b"\r\n",
        b"%00",
        b"__class__",
    ),
    *(
        b"[" * 3000,
        b'{"a":' * 2000,
        b"cos\nsystem\n(S'id'\ntR.",
        b"=cmd|'/C calc'!A0",
        b"_",
        b"-",
        b",",
        b"e",
    ),
]


ODD: tuple[Any, ...] = (
    *(10**400, -(10**400), float("nan"), float("inf"), 1e308, -1, 0, 2**63, 0.5, True, None),
    *("", "x" * 5000, "a\nb", "../..", "\x00", [], {}, [[[[]]]], {"a": 1}, list(range(1000))),
)


def _other_json(data: bytes, rng: random.Random) -> bytes:
    """The same with one value that is something else."""
    value = json.loads(data)
    inner = value
    while True:
        key = rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if not (isinstance(inner[key], (dict, list)) and inner[key] and rng.random() < 0.8):
            break
        inner = inner[key]
    inner[key] = rng.choice(ODD)
    return json.dumps(value).encode()


def _other_archive(data: bytes, rng: random.Random) -> bytes:
    """An archive with changed, renamed or enormous members."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, ValueError):
        return data[: rng.randrange(len(data))]
    name = rng.choice(list(members))
    kind = rng.randrange(5)
    if kind == 0:
        members[name] = changed(members[name], [members[name]], rng)
    elif kind == 1:
        members[rng.choice(("../../out.npy", "/tmp/out.npy", "a\\b", ".", name + ".npy"))] = members.pop(name)
    elif kind == 2:
        members[name] = bytes(50_000_000)
    elif kind == 3:
        del members[name]
    else:
        members |= {f"{name}{number}": b"x" for number in range(300)}
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------ ways in


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _link(data: bytes, folder: Path) -> None:
    parameters = dict(part.partition("=")[::2] for part in _text(data).split("&"))
    settings, notices = link.decode(parameters, ["fast", "best"])
    for notice in notices:
        _check_sentence(notice)
    link.encode(settings, "fast")
    settings.scene()
    inside.Choice.from_text(_text(data))
    inside.place_from_text(_text(data))


def _message(data: bytes, folder: Path) -> None:
    """As the browser's JSON arrives."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        event = _text(data)
    settings = default_settings()
    stage.read_moves(event, settings)
    stage.read_action(event, settings)
    pad.read_drawing(event)
    inside.read_pixel(event)


def _file(read: Callable[[Path], object], name: str) -> Callable[[bytes, Path], object]:
    def use(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return use


def _clip_set(path: Path) -> None:
    clips = ClipFile(path)
    clips.clips(0, 1)


def _run_folder(name: str) -> Callable[[bytes, Path], object]:
    def use(data: bytes, folder: Path) -> None:
        run = run_folders.make(folder, "one")
        (run.folder / name).write_bytes(data)
        for entry in list_runs(folder):
            _ = entry.alive
        describe(run)
        for read in (
            run.read_config,
            run.read_status,
            run.read_history,
            run.checkpoint_state,
            run.snapshot_epochs,
            lambda: run.read_snapshot("truth"),
            run.log_tail,
            lambda: named_run(folder, _text(data)[:300]),
        ):
            try:
                read()
            except (RunError, HistoryError, WeightsError) as error:
                _check_sentence(str(error))

    return use


def _run_seed(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return (run_folders.make(Path(folder), "one").folder / name).read_bytes()


def surfaces() -> list[Surface]:
    """All of them."""
    settings = default_settings()
    clip = np.random.default_rng(0).integers(256, size=(4, 64, 64)).astype(np.uint8)
    asked = PredictionRequest(clip, "rollout", 4, 3)
    weights = "ab" * 32
    request = encode_request(Request(asked, weights))
    answer = encode_answer(Answer(PredictionResult(np.zeros((2, 64, 64), np.float32), 0.1, "CPU"), weights))
    queries = [
        "&".join(f"{name}={value}" for name, value in link.encode(each, "none").items())
        for each in (settings, *(link.with_scene(settings, scene) for scene in preset_scenes().values()))
    ]
    png = BytesIO()
    Image.fromarray(np.tile(clip[0], (1, 5))).save(png, "PNG")
    npy, npz_clip = BytesIO(), BytesIO()
    np.save(npy, clip)
    np.savez(npz_clip, clip=clip)
    public = BytesIO()
    np.save(public, clip[:, None])
    pickled = BytesIO()
    np.save(pickled, np.array([{"a": print}], object), allow_pickle=True)
    mine = npz(weights_of(SMALL))
    brought = [
        png.getvalue(),
        films.gif_bytes(clip),
        films.mp4_bytes(clip),
        npy.getvalue(),
        npz_clip.getvalue(),
    ]
    moves = {"digits": [[1, 2, 3.5, 90]] * settings.count, "gesture": "a", "final": True}
    messages = [moves, {"name": "remove", "number": 0}, {"at": [3, 4]}, {"close": True}]
    known = own_weights.known_configs()
    scenes = [scene.to_json().encode() for scene in preset_scenes().values()]
    digit = drawings.encode(np.eye(28, dtype=np.uint8) * 200)
    found = [
        Surface("a link", [query.encode() for query in queries], _link),
        Surface("a component's message", [json.dumps(each).encode() for each in messages], _message),
        Surface(
            "a clip of one's own",
            [
                *brought,
                npy.getvalue(),
                npz_clip.getvalue(),
                pickled.getvalue(),
                gzip.compress(npy.getvalue()),
            ],
            lambda data, folder: uploads.read(data),
            (uploads.UploadError,),
        ),
        Surface(
            "weights of one's own",
            [mine, pickled.getvalue()],
            lambda data, folder: own_weights.read_weights(data, (SMALL, *known)),
            (own_weights.OwnWeightsError,),
            True,
        ),
        Surface(
            "a weights file",
            [mine, pickled.getvalue()],
            _file(load_arrays, "weights.npz"),
            (WeightsError,),
            True,
        ),
        Surface(
            "--data",
            [public.getvalue(), pickled.getvalue()],
            _file(_clip_set, "clips.npy"),
            (ClipSetError,),
            True,
        ),
        Surface(
            "a scene", scenes, lambda data, folder: Scene.from_json(_text(data)), (SceneError, ValueError)
        ),
        Surface(
            "a drawing", [digit.encode()], lambda data, folder: drawings.decode(_text(data)), (DrawingError,)
        ),
        Surface(
            "a model's configuration",
            [SMALL.to_json().encode()],
            lambda data, folder: ModelConfig.from_json(_text(data)),
            (ValueError,),
        ),
        Surface(
            "a training's configuration",
            [default_config("fast", epochs=1).to_json().encode()],
            lambda data, folder: TrainConfig.from_json(_text(data)),
            (ValueError,),
        ),
        Surface("a request", [request], lambda data, folder: decode_request(data), (WireError,)),
        Surface("an answer", [answer], lambda data, folder: decode_answer(data), (WireError,)),
    ]
    for name in ("status.json", "config.json", "history.csv", "model.json"):
        found.append(Surface(f"a run's {name}", [_run_seed(name)], _run_folder(name), (), True))
    for name in ("snapshots/truth.png", "log.txt"):
        found.append(Surface(f"a run's {name}", [_run_seed(name)], _run_folder(name), (), True))
    return [*found, Surface("a run's last.npz", [mine], _run_folder("last.npz"), (), True)]


# ------------------------------------------------------------------------------------------------ search


def _check_sentence(text: str) -> None:
    if not text.strip() or "\n" in text or len(text) > MOST_SENTENCE or "Traceback" in text:
        raise AssertionError(f"this is no sentence: {text[:300]!r}")


def search(cases: int, seed: int = 0, report: Callable[[str], None] | None = None) -> dict[str, Counter[str]]:
    """Try so many cases, the same of every way in; how many were used and how many refused.

    Raises
    ------
    AssertionError
        For the first case that does anything else, with the way in, the seed and the case's bytes.
    """
    ways, watch = surfaces(), Watch()
    counts: dict[str, Counter[str]] = {way.name: Counter() for way in ways}
    turns = [way for way in ways for _ in range(1 if way.writes else 5)]
    for way in ways:  # what is imported at first use is not what is searched for
        for data in way.seeds:
            with tempfile.TemporaryDirectory() as folder, _refusal(way):
                way.use(data, Path(folder))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(cases):
        way = turns[number % len(turns)]
        rng = random.Random(f"{seed} {number}")
        data = changed(rng.choice(way.seeds), way.seeds, rng)
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            with watch.over(Path(folder)):
                said = _tried(way, data, Path(folder))
            seconds = time.monotonic() - began
        counts[way.name]["refused" if said is not None else "used"] += 1
        trouble = watch.found[:1] or ([f"it took {seconds:.0f} s"] if seconds > MOST_SECONDS else [])
        if said is not None:
            trouble += _no_sentence(said)
        if trouble:
            raise AssertionError(f"{way.name}, case {number} of seed {seed}: {trouble[0]}; {data[:200]!r}")
        if report is not None and number % 500 == 499:
            report(f"{number + 1} cases")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6
    if grown > MOST_GROWTH_MB:
        raise AssertionError(f"memory grew by {grown:.0f} MB")
    return counts


@contextmanager
def _refusal(way: Surface) -> Iterator[None]:
    try:
        yield
    except way.refusals:
        return


def _tried(way: Surface, data: bytes, folder: Path) -> str | None:
    """What it says where it refuses; None where it takes it."""
    try:
        way.use(data, folder)
    except way.refusals as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{way.name}: {traceback.format_exc()[-1500:]}\n{data[:300]!r}") from error
    return None


def _no_sentence(text: str) -> list[str]:
    try:
        _check_sentence(text)
    except AssertionError as error:
        return [str(error)]
    return []


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    counts = search(options.cases, options.seed, lambda text: print(text, flush=True))
    width = max(map(len, counts))
    for name, count in counts.items():
        print(f"{name:{width}}  {count['used']:5d} used  {count['refused']:5d} refused, each in a sentence")
    print(f"{options.cases} cases in {time.monotonic() - began:.0f} s; nothing else happened")
    return 0


if __name__ == "__main__":
    sys.exit(main())
