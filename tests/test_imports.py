"""Imports run one way: app, pages -> ui -> core; train, evaluate -> core. The light half of core stays light.

Read from the source with `ast`, so that an import inside a function counts too where it must.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"keras", "tensorflow", "jax", "jaxlib", "torch"}
SCREEN = {"streamlit", "plotly"}
# A page paints before TensorFlow has loaded: these modules never import it, not even through another of ours.
LIGHT = (
    "core",
    "core.digits",
    "core.scenes",
    "core.moving_mnist",
    "core.metrics",
    "core.baselines",
    "core.file_locks",
    "core.run_list",
    "core.run_locks",
    "core.runs",
    "core.history",
    "core.train_config",
    "core.model_config",
    "core.model_shapes",
    "core.loss_weights",
    "core.batches",
    "core.curves",
    "core.launch",
    "core.inspection",
)
# Who may import whom, of our own packages.
ALLOWED = {
    "core": {"core"},
    "ui": {"core", "ui"},
    "pages": {"core", "ui"},
    "app": {"core", "ui"},
    "train": {"core"},
    "evaluate": {"core"},
    "benchmarks": {"benchmarks", "core", "evaluate", "train", "ui"},
}
OURS = {*ALLOWED, "scripts", "tests"}


def sources() -> dict[str, Path]:
    """Dotted module name -> file, of everything that the rules speak of."""
    files = [path for name in ALLOWED for path in (ROOT / f"{name}.py", *sorted((ROOT / name).rglob("*.py")))]
    found = {}
    for path in files:
        if path.is_file():
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


SOURCES = sources()


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(tree: ast.AST, *, lazy: bool) -> Iterator[str]:
    """Modules that a tree imports; `lazy`: those inside functions too. Typing-only imports never run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif is_type_checking(node):
            continue
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(node, lazy=lazy)


def imported(module: str, *, lazy: bool = True) -> set[str]:
    return set(imports(ast.parse(SOURCES[module].read_text(encoding="utf-8")), lazy=lazy))


def tops(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def reached(module: str) -> set[str]:
    """Everything that a module imports, at any time, itself or through other modules of ours."""
    seen, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if current in SOURCES:
            waiting += imported(current)
            if "." in current:
                waiting.append(current.rpartition(".")[0])  # importing a.b runs a
    return seen


def test_there_is_something_to_read():
    assert {
        "core.digits",
        "core.scenes",
        "core.moving_mnist",
        "core.metrics",
        "core.baselines",
        "evaluate",
    } <= set(SOURCES)


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_imports_run_one_way(module):
    top = module.split(".")[0]
    beyond = (tops(imported(module)) & OURS) - ALLOWED[top]
    assert not beyond, f"{module} imports {sorted(beyond)}; {top} may import {sorted(ALLOWED[top])}"


@pytest.mark.parametrize("module", sorted(name for name in SOURCES if name.split(".")[0] == "pages"))
def test_pages_never_import_pages(module):
    assert "pages" not in tops(imported(module))


@pytest.mark.parametrize(
    "module", sorted(name for name in SOURCES if name.split(".")[0] in {"core", "train", "evaluate"})
)
def test_streamlit_and_plotly_stay_out_of_core_and_the_command_lines(module):
    assert not tops(reached(module)) & SCREEN


@pytest.mark.parametrize("module", sorted(set(LIGHT) & set(SOURCES)))
def test_the_light_half_of_core_never_imports_a_network_library(module):
    assert not tops(reached(module)) & HEAVY


@pytest.mark.parametrize("module", ["app", "evaluate", "train"])
def test_entry_points_import_a_network_library_only_inside_functions(module):
    """Bad arguments and a first paint do not wait for TensorFlow."""
    if module not in SOURCES:
        pytest.skip(f"{module}.py is not part of this tree")
    seen, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += imported(current, lazy=False) if current in SOURCES else []
    assert not tops(seen) & HEAVY


def test_the_light_half_of_core_loads_no_network_library():
    """The same, seen from outside: the source could hide an import that a fresh process would show."""
    light = [name for name in LIGHT if name in SOURCES]
    code = f"import sys, {', '.join(light)}; print(*sorted({{n.split('.')[0] for n in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert not set(loaded.stdout.split()) & (HEAVY | SCREEN)
