"""Imports run one way: a folder imports only the folders that stand before it, and no modules import in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_FILES = 13  # of a folder, with its __init__

# Each line may import what stands on the lines before it, and its own folder.
ORDER = (
    ("hvae_core.checks", "hvae_core.sync"),
    ("hvae_core.image", "hvae_core.spec", "hvae_core.streams"),
    ("hvae_core.precision",),
    ("hvae_core.data", "hvae_core.networks", "hvae_core.likelihoods"),
    ("hvae_core.families",),
    ("hvae_core.systems",),
    ("hvae_core.evaluation",),
    ("hvae_core.training",),
    ("hvae_core.__main__",),
    ("sweeps.errors", "sweeps.durations", "sweeps.run_command"),
    ("sweeps.grid",),
    ("sweeps.ledger",),
    ("sweeps.planning", "sweeps.watching", "sweeps.loggers"),
    ("sweeps.running", "sweeps.trained", "sweeps.options"),
    ("sweeps.cluster",),
    ("sweeps.commands",),
    ("analysis.frames",),
    ("analysis.words",),
    ("analysis.summaries", "analysis.critical"),
    ("analysis.axes",),
    ("analysis.figures", "analysis.phase", "analysis.tables", "analysis.adaptive"),
    ("analysis.door",),
    ("analysis.page",),
    ("analysis.requests",),
    ("analysis.reports",),
    ("analysis.command",),
    ("analysis.evaluate_command",),
    ("cli",),
    ("hvae_core.launch",),
)
FLOOR = {name: floor for floor, names in enumerate(ORDER) for name in names}
DOORS = ("hvae_core", "sweeps", "analysis")  # packages whose own __init__ users import from
ONLY = {
    "ray": ("sweeps/running/ray_tune.py",),
    "click": (
        "sweeps/options",
        "sweeps/commands",
        "sweeps/cluster/submit.py",
        "analysis/command.py",
        "analysis/evaluate_command.py",
        "cli.py",
    ),
}


def modules() -> dict[str, Path]:
    """Every module of the three packages and cli, by its dotted name."""
    files = [file for door in DOORS for file in sorted((ROOT / door).rglob("*.py"))] + [ROOT / "cli.py"]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports(file: Path, everywhere: bool) -> Iterator[str]:
    """Dotted names that a file imports; not everywhere: only those that run as it is imported."""

    def walk(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
        for node in nodes:
            checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            if everywhere or not (checked or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
                yield node
                yield from walk([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)])

    for node in walk(ast.parse(file.read_text()).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def folder(module: str) -> str | None:
    """The line's name that a module belongs to; None for a door and for other people's packages."""
    return next((name for name in FLOOR if module == name or module.startswith(f"{name}.")), None)


def test_every_module_stands_on_a_line() -> None:
    homeless = [name for name in modules() if folder(name) is None and name not in DOORS]
    assert homeless == []


def test_no_import_runs_back() -> None:
    back = []
    for name, file in modules().items():
        own = folder(name)
        for imported in imports(file, everywhere=True):
            other = folder(imported)
            if own is not None and other not in (None, own) and FLOOR[str(other)] >= FLOOR[own]:
                back.append(f"{name} imports {imported}")
    assert sorted(set(back)) == []


def test_no_modules_import_in_a_circle() -> None:
    known = modules()
    graph = {name: {i for i in imports(file, everywhere=False) if i in known} for name, file in known.items()}
    for name in graph:  # a package's own __init__ may take names from its modules
        graph[name] = {i for i in graph[name] if i != name and not name.startswith(f"{i}.")}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", sorted(ONLY))
def test_heavy_packages_are_imported_where_they_belong(package: str) -> None:
    for name, file in modules().items():
        if any(imported.partition(".")[0] == package for imported in imports(file, everywhere=True)):
            assert str(file.relative_to(ROOT)).startswith(ONLY[package]), name


def test_folders_stay_small_and_say_what_they_are() -> None:
    for directory in {file.parent for file in modules().values()} - {ROOT}:
        files = sorted(directory.glob("*.py"))
        assert len(files) <= MOST_FILES, directory.name
        assert ast.get_docstring(ast.parse((directory / "__init__.py").read_text())), directory


def test_the_map_in_contributing_is_the_tree() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    listed = set(text[text.index("    hvae_core/") : text.index("Each folder imports")].split())
    for name, file in modules().items():
        entry = f"{file.parent.name}/" if file.name == "__init__.py" else file.stem
        assert entry in listed or entry in ("__main__", "cli"), name


def test_the_walk_sees_what_it_should(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nimport a.b\nif TYPE_CHECKING:\n    import c\n"
        "def f():\n    from d import e\ntry:\n    import g\nexcept ImportError:\n    pass\n"
    )
    assert {"a.b", "c", "d.e", "g"} <= set(imports(file, everywhere=True))
    assert not {"c", "d", "d.e"} & set(imports(file, everywhere=False))
    assert {"a.b", "g"} <= set(imports(file, everywhere=False))
