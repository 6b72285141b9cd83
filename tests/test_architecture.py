"""What may import what. Read from the source, so that it holds for imports inside functions too."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "polyasr"

LAYERS = (
    {"containers", "errors", "samples"},
    {"accelerator", "audio", "health", "kinds", "languages", "protocol"},
    {"settings"},
    {"checkpoint"},
    {"pipeline"},
    {"alignment", "archive", "client", "diarization", "engine", "metrics", "picture", "subtitles"},
    {"routes"},
    {"app"},
    {"server"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
"""The parts of the package from the bottom up; a part imports itself and what lies below it."""
MODEL_LIBRARIES = {
    "mlx",
    "onnxruntime",
    "pyannote",
    "qwen_asr",
    "resemblyzer",
    "silero_vad",
    "torch",
    "transformers",
}
SERVER_LIBRARIES = {"hypercorn", "quart", "quart_trio", "werkzeug"}


@dataclass(frozen=True)
class Import:
    """One import. ``module`` is the dotted name that is imported, or imported from.

    ``lazy``: not run when the importing module is loaded, for it stands in a function or is for
    type checkers only.
    """

    importer: str
    module: str
    lazy: bool

    @property
    def library(self) -> str:
        return self.module.split(".")[0]


def name_of(file: Path) -> str:
    """The dotted name of a source file of the package."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): ast.parse(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py")}


def part(module: str) -> str:
    """The part of the package that a module belongs to; "" for the package itself."""
    return (module.split(".") + [""])[1]


def imports_of(importer: str, node: ast.AST, lazy: bool = False) -> Iterator[Import]:
    """All imports in a tree."""
    if isinstance(node, ast.Import):
        yield from (Import(importer, alias.name, lazy) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{importer} imports relatively"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield Import(importer, submodule if submodule in MODULES else node.module or "", lazy)
    else:
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.iter_child_nodes(node):
            yield from imports_of(importer, child, lazy or for_checkers)


IMPORTS = [entry for name, tree in MODULES.items() for entry in imports_of(name, tree)]


def importers(libraries: set[str]) -> set[str]:
    """The modules that import one of the libraries."""
    return {entry.importer for entry in IMPORTS if entry.library in libraries}


def test_every_part_has_its_layer() -> None:
    assert {part(name) for name in MODULES} - {""} == set().union(*LAYERS)


def test_imports_point_down() -> None:
    height = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    upward = [
        f"{entry.importer} imports {entry.module}"
        for entry in IMPORTS
        if entry.library == "polyasr"
        and part(entry.module) not in ("", part(entry.importer))
        and height[part(entry.module)] >= height[part(entry.importer)]
    ]
    assert upward == []


def test_the_protocol_imports_the_standard_library_and_errors_alone() -> None:
    others = [
        f"{entry.importer} imports {entry.module}"
        for entry in IMPORTS
        if part(entry.importer) == "protocol"
        and entry.library not in sys.stdlib_module_names
        and part(entry.module) not in ("protocol", "errors")
    ]
    assert others == []


def test_the_pipeline_knows_no_server_and_no_model_library() -> None:
    known = importers(MODEL_LIBRARIES | SERVER_LIBRARIES)
    assert not {name for name in known if part(name) == "pipeline"}


def test_model_libraries_are_imported_in_the_engine_alone() -> None:
    assert {part(name) for name in importers(MODEL_LIBRARIES)} == {"engine"}


def test_the_server_library_is_known_to_the_routes_and_the_server_alone() -> None:
    assert {part(name) for name in importers(SERVER_LIBRARIES)} <= {"app", "routes", "server"}


def test_model_adapters_are_imported_lazily() -> None:
    """An adapter, which loads a model library with itself, is loaded by adapters or functions."""
    adapters = {e.importer for e in IMPORTS if e.library in MODEL_LIBRARIES and not e.lazy}
    eager = [
        f"{entry.importer} imports {entry.module}"
        for entry in IMPORTS
        if entry.module in adapters and entry.importer not in adapters and not entry.lazy
    ]
    assert adapters
    assert eager == []


@pytest.mark.parametrize("module", ["polyasr.server", "polyasr.commands.transcribe"])
def test_no_model_library_is_loaded_before_a_model_is(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert MODEL_LIBRARIES.isdisjoint(loaded.stdout.split())


def test_the_environment_is_read_by_the_settings_which_the_commands_pass_it_to() -> None:
    readers = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert {part(name) for name in readers} == {"commands"}


def test_concurrency_is_trio_alone() -> None:
    assert importers({"asyncio", "anyio"}) == set()


def test_every_library_that_is_imported_is_a_declared_requirement() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    extras = setup["options.extras_require"]
    lines += extras["plot"].splitlines()
    declared = {re.split("[<>=!~; ]", line)[0] for line in lines if line}
    providers = importlib.metadata.packages_distributions()
    undeclared = {
        library
        for library in {entry.library for entry in IMPORTS} - sys.stdlib_module_names - {"polyasr"}
        if library not in extras
        and not {name.lower().replace("_", "-") for name in providers.get(library, [])} & declared
    }
    assert undeclared == set()
