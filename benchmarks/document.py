"""docs/performance.md and docs/reliability.md: their tables and curves are those of docs/performance.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure, markdown_table

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS, PICTURE = DOCS / "performance.json", DOCS / "pictures" / "growth.svg"
DOCUMENTS = DOCS / "performance.md", DOCS / "reliability.md"
_BLOCK = re.compile(r"(?<=<!-- measured: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


class DocumentError(ValueError):
    """The document or its figures do not fit together; the message says how."""


def figure_from(row: Mapping[str, Any]) -> Figure:
    """A figure as it was written to JSON."""
    fields = {name: value for name, value in row.items() if name != "met"}
    quartiles = fields["quartiles"] and tuple(fields["quartiles"])
    return Figure(**{**fields, "quartiles": quartiles, "points": tuple(map(tuple, fields["points"]))})


def merged(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """Older results with the benchmarks that were measured anew; all must be of one machine.

    old, new : what `benchmarks.__main__.report` makes
    """
    if old is None:
        return new
    if old["machine"] != new["machine"]:
        raise DocumentError(
            f"the other figures are of another machine ({old['machine']}); measure all of them, "
            f"or remove {RESULTS.name} first"
        )
    again = {row["benchmark"] for row in new["figures"]}
    kept = [row for row in old["figures"] if row["benchmark"] not in again]
    return {**new, "figures": kept + new["figures"]}


def machine_text(machine: Mapping[str, Any]) -> str:
    """One line about what was measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"Measured on {machine['cpus']} cores, {machine['system']}; {versions}.\n"


def rendered(text: str, results: Mapping[str, Any]) -> str:
    """A document with the tables of its `<!-- measured: NAME -->` blocks made anew."""
    figures = [figure_from(row) for row in results["figures"]]

    def block(found: re.Match[str]) -> str:
        name = found[1]
        if name == "machine":
            return name + found[2] + machine_text(results["machine"])
        own = [figure for figure in figures if figure.benchmark == name]
        return f"{name}{found[2]}{markdown_table(own, named=False) if own else 'Not measured yet.'}\n"

    return _BLOCK.sub(block, text)


def texts() -> list[str]:
    """The documents as they are."""
    return [document.read_text() for document in DOCUMENTS]


def check(documents: list[str], benchmarks: Iterable[str]) -> None:
    """DocumentError if one of the benchmarks has a block in none of the documents."""
    there = {found[1] for text in documents for found in _BLOCK.finditer(text)}
    left = {*benchmarks} - there
    if left:
        raise DocumentError(
            f"no document has a block for {', '.join(sorted(left))}; --json FILE keeps the figures"
        )


def _as_json(results: Mapping[str, Any]) -> str:
    """JSON with a figure a line, so that a change is a line, too."""
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in results["figures"])
    rest = json.dumps({name: value for name, value in results.items() if name != "figures"})
    return f'{rest[:-1]}, "figures": [\n{lines}\n]}}\n'


def write(results: dict[str, Any]) -> None:
    """Write results, tables and curves."""
    from benchmarks.growth import draw

    before = texts()
    check(before, (row["benchmark"] for row in results["figures"]))
    curves = [figure for figure in map(figure_from, results["figures"]) if figure.points]
    if curves:
        draw(curves, PICTURE)
    RESULTS.write_text(_as_json(results))
    for document, text in zip(DOCUMENTS, before, strict=True):
        document.write_text(rendered(text, results))


def read() -> dict[str, Any] | None:
    """The results that are there; None if there are none."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else None
