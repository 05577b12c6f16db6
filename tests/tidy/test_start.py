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
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


SERVED = """
import asyncio, os, tempfile, time
from pathlib import Path
from server.compose import Instruments, compose
from server.config import Settings
from server.drain import Drain
from server.log_writer import LineWriter
from server.logs import Logs
from server.metrics import Metrics
import server.serving, server.app

async def main(folder):
    settings = Settings.of({
        "storage": {"url": f"sqlite:///{folder}/new.db"},
        "providers": {"openai": {"api_key": "x", "base_url": "http://127.0.0.1:9/v1", "models": ["m"]}},
        "prices": {"openai/m": {"input": "1", "output": "2"}},
    })
    logs = Logs(LineWriter(os.open(os.devnull, os.O_WRONLY)), now=time.time)
    async with compose(settings, Instruments(logs, Metrics(), Drain())):
        pass
    logs.close()

with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
"""
UNUSED = ("sqlalchemy", "alembic", "structlog", "rich", "pygments", "genai_prices", "httpx2", "typer")
"""What a server on a new file, with a price for every model and a log for machines, has no use for; together 35 MB."""


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


def test_a_server_on_a_new_file_holds_nothing_in_memory_that_it_does_not_use() -> None:
    served = loaded(SERVED)
    unused = [name for name in (*HEAVY, *UNUSED) if name in served]
    assert not unused, told("a server under 90 MB loads what it uses, also when its database is new", unused)
