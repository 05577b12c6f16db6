"""Where things live: folders, floors, and each library's one home."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.tidy.tree import FLOORS, ROOT, Module, files, modules, product, told

FOLDERS = {*FLOORS, "tests", "examples"}
TOP_FILES = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "config.example.toml",
    "pyproject.toml",
    "requirements-all.txt",
    "requirements-dev.txt",
    "requirements.txt",
}
OUTSIDE = ("tests", "examples")

HOMES: dict[str, tuple[str, ...]] = {
    "starlette": ("server",),
    "uvicorn": ("server",),
    "websockets": ("server",),
    "jinja2": ("server",),
    "typer": ("server/cli*",),
    "pydantic_settings": ("server/config*",),
    "structlog": ("server/logs.py",),
    "prometheus_client": ("server/metrics.py", "server/tallies.py"),
    "joserfc": ("server/auth", "server/demo*", "server/cli*"),
    "aiohttp": ("methods/providers", "billing/processors", "server/auth", "server/compose.py"),
    "sqlalchemy": ("storage/sql",),
    "sqlite3": ("storage/sql",),
    "aiosqlite": ("storage/sql",),
    "asyncpg": ("storage/sql",),
    "alembic": ("storage/sql",),
    "redis": ("storage/ephemeral",),
    "genai_prices": ("monetization/prices",),
    "stripe": ("billing/processors",),
    "anthropic": (),
    "openai": (),
    "google.genai": (),
    "mcp": ("server/mcp",),
    "mcp_types": ("server/mcp",),
    "anyio": ("server/mcp",),
}
REASONS = {
    "starlette": "only doors know HTTP",
    "sqlalchemy": "rows stop at storage/sql",
    "anyio": "the MCP SDK cancels by its scopes; everything of ours is plain asyncio",
    "aiohttp": "one place speaks to providers, one to processors, one fetches keys; the root types the session it hands out",
    "anthropic": "official SDKs are clients in tests and examples; providers are called with aiohttp",
    "openai": "official SDKs are clients in tests and examples; providers are called with aiohttp",
    "google.genai": "official SDKs are clients in tests and examples; providers are called with aiohttp",
}

HIDDEN_INPUTS: dict[str, dict[str, str]] = {
    # what may not be reached for → where it may, and why there
    "time.time": {
        "server/app.py": "hands the clock to the log",
        "server/doors.py": "hands the clock to the doors",
        "server/compose.py": "hands the clock out",
        "server/cli*": "a command is a composition root",
        "server/demo.py": "same",
    },
    "time.monotonic": {"server/compose.py": "hands the clock out", "server/app.py": "same", "server/doors.py": "same"},
    "datetime.now": {},
    "datetime.utcnow": {},
    "datetime.today": {},
    "date.today": {},
    "uuid.uuid4": {"server/compose.py": "hands ids out"},
    "os.environ": {
        "server/serving.py": "workers inherit it",
        "server/app.py": "a worker's factory takes no arguments",
        "server/cli*": "a command is a composition root",
    },
    "os.getenv": {},
    "random": {"server/compose.py": "hands jitter out"},
    "secrets": {
        "server/ids.py": "makes ids",
        "server/compose.py": "hands ids out",
        "server/running.py": "a salt that lives as long as the process; no test may know it",
    },
}


def test_the_top_level_holds_the_floors_and_nothing_that_nobody_asked_for() -> None:
    strange = [
        path
        for path in files()
        if not path.startswith(".") and (path.split("/")[0] not in FOLDERS if "/" in path else path not in TOP_FILES)
    ]
    assert not strange, told(
        "the top-level folders are the floors, tests and examples; a sixth floor is a decision", strange
    )


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, told(
        "imports only run downward: server, methods, monetization, billing, storage", [run.stdout]
    )


@pytest.mark.parametrize("library", sorted(HOMES))
def test_each_library_has_one_home(library: str) -> None:
    homes = HOMES[library]
    strays = [
        f"{module.path}:{line}"
        for module in modules()
        if not module.is_in(*homes, *OUTSIDE)
        for name, line in module.imports()
        if name == library or name.startswith(f"{library}.")
    ]
    law = f"{library} lives in {', '.join(homes) or 'tests and examples only'}: {REASONS.get(library, 'a library has one home')}"
    assert not strays, told(law, sorted(set(strays)))


@cache
def names_used(module: Module) -> tuple[tuple[str, int], ...]:
    """Dotted names that the module reaches for, with imported names spelled in full."""
    spelled: dict[str, str] = {}
    for node in module.nodes:
        if isinstance(node, ast.Import):
            spelled |= {
                alias.asname or alias.name.split(".")[0]: alias.name.split(".")[0] if not alias.asname else alias.name
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            short = "" if node.module == "datetime" else f"{node.module}."
            spelled |= {alias.asname or alias.name: f"{short}{alias.name}" for alias in node.names}
    used = []
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in spelled:
            used.append((f"{spelled[node.value.id]}.{node.attr}", node.lineno))
        elif isinstance(node, ast.Name) and "." in spelled.get(node.id, ""):
            used.append((spelled[node.id], node.lineno))
    return tuple(used)


@pytest.mark.parametrize("hidden", sorted(HIDDEN_INPUTS))
def test_time_randomness_and_environment_come_in_as_arguments(hidden: str) -> None:
    homes = HIDDEN_INPUTS[hidden]
    strays = [
        f"{module.path}:{line}"
        for module in product()
        if not module.is_in(*homes)
        for name, line in names_used(module)
        if name == hidden or name.startswith(f"{hidden}.")
    ]
    law = f"{hidden} is handed in as an argument, so that tests decide it; its homes: {', '.join(homes) or 'none'}"
    assert not strays, told(law, strays)


def test_hidden_inputs_are_found_however_they_are_imported() -> None:
    text = "import os, time as t\n"
    text += "from datetime import datetime as d\nfrom uuid import uuid4\nos.environ['A'], t.time(), d.now(), uuid4()\n"
    found = {name for name, _ in names_used(Module("x.py", text, ast.parse(text)))}
    assert {"os.environ", "time.time", "datetime.now", "uuid.uuid4"} <= found
