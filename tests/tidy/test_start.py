"""What a start may load: nothing that the served calls do not use."""

import subprocess
import sys

from tests.tidy.tree import ROOT, told

HEAVY = (
    "anthropic",
    "openai",
    "google.genai",
    "mcp",
    "stripe",
    "alembic",
    "redis",
    "asyncpg",
    "opentelemetry",
    "reportlab",
    "httpx",
    "hypothesis",
    "pytest",
    "genai_prices.update_prices",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.websockets_impl",
    "uvicorn.protocols.websockets.wsproto_impl",
    "uvicorn.loops.asyncio",
)
CORE = ("starlette", "uvicorn", "pydantic", "aiohttp", "sqlalchemy", "structlog", "prometheus_client", "joserfc")


def loaded(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_the_start_path_imports_no_heavy_package_that_it_does_not_use() -> None:
    start = loaded("import server.serving, server.app")
    heavy = [name for name in HEAVY if name in start]
    assert not heavy, told(
        "import heavy packages inside the function that needs them: a start takes under 1.5 s", heavy
    )


def test_the_help_of_the_command_line_imports_none_of_the_core() -> None:
    start = loaded("import server.cli")
    core = [name for name in CORE if name in start]
    assert not core, told("each command imports what it needs, so that --help answers at once", core)
