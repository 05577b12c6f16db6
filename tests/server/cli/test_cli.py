"""The command as an operator meets it: a process, its output, its exit code."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey

from monetization.calls import Credential
from server.auth.callers import Callers
from server.config import Settings
from server.demo import demo_settings, greeting

ROOT = Path(__file__).resolve().parents[3]
CANARY = "canary-5d0e7b"


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from server.cli import main; main()", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def identified(settings: Settings, token: str) -> object:
    callers = Callers.of(
        settings.auth,
        session=lambda: pytest.fail("no session is needed"),
        default_tier=lambda: "free",
        tier_of=lambda name: name,
        on_unknown_tier=lambda _: None,
        on_failure=lambda _: None,
        clock=time.time,
        monotonic=time.monotonic,
    )
    return asyncio.run(callers.identify(Credential("bearer", token)))


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_help_answers_without_loading_the_product() -> None:
    script = (
        "import sys, contextlib, io\nfrom server.cli import main\nsys.argv = ['tollgate', '--help']\n"
        "out = io.StringIO()\nwith contextlib.redirect_stdout(out), contextlib.suppress(SystemExit): main()\n"
        "assert 'serve' in out.getvalue() and 'doctor' in out.getvalue()\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('server')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded, ours = (set(line.split()) for line in done.stdout.splitlines())
    heavy = {
        "aiohttp",
        "aiosqlite",
        "alembic",
        "asyncpg",
        "cryptography",
        "genai_prices",
        "joserfc",
        "monetization",
        "methods",
        "orjson",
        "prometheus_client",
        "pydantic",
        "pydantic_settings",
        "redis",
        "rich",
        "sqlalchemy",
        "sqlite3",
        "starlette",
        "storage",
        "structlog",
        "uvicorn",
    }
    assert loaded & heavy == set(), "tollgate --help must answer at once"
    assert ours == {"server", "server.cli", "server.config_errors"}


def test_loading_settings_imports_no_server_no_client_and_no_database() -> None:
    script = (
        "import sys\nfrom server.config import Settings\nfrom server.auth.callers import Callers\nSettings.load(None, {})\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert (
        set(done.stdout.split()) & {"aiohttp", "joserfc", "cryptography", "sqlalchemy", "starlette", "redis"} == set()
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["bogus"], "tollgate: No such command 'bogus'."),
        (["serve"], "tollgate: give --config FILE (start from config.example.toml), or --demo"),
        (["serve", "--config", "none.toml"], "tollgate: none.toml: there is no such file; copy config.example.toml and edit it"),
        (["serve", "--demo", "--config", "x"], "tollgate: --config and --demo exclude each other; give one"),
        (["doctor", "--config", "none.toml"], "tollgate: none.toml: there is no such file; copy config.example.toml and edit it"),
        (["token", "--user", "u"], "tollgate: Missing option '--tier'."),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_on_stderr_and_exit_2(arguments: list[str], line: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line + "\n")


def test_a_demo_that_can_keep_nothing_says_where_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("serve", "--demo", "--state", str(tmp_path / "file" / "below"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"tollgate: {tmp_path}/file/below/demo-key.pem: not a directory; "
        "make the folder writable, remove the file, or give --state FOLDER\n"
    )


def test_without_arguments_the_command_explains_itself() -> None:
    done = run()
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: tollgate")


def test_a_token_of_the_demo_is_believed_by_the_demo(tmp_path: Path) -> None:
    done = run(
        "token", "--demo", "--state", str(tmp_path), "--user", "u1", "--tier", "pro", "--organization", "o1",
        "--role", "admin", "--role", "billing", "--feature", "analytics", "--expires", "60",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    caller = identified(demo_settings(tmp_path), done.stdout.strip())
    assert (caller.user_id, caller.tier, caller.organization_id) == ("u1", "pro", "o1")  # type: ignore[attr-defined]  # a Caller
    assert caller.roles == {"admin", "billing"}  # type: ignore[attr-defined]  # same
    assert caller.features == {"analytics"}  # type: ignore[attr-defined]  # same


def test_a_token_needs_a_private_key_and_a_known_tier(tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_bytes(RSAKey.generate_key(2048).as_pem(private=False))
    config = tmp_path / "config.toml"
    config.write_text('[auth]\nissuer = "i"\naudience = "a"\npublic_key = "file:public.pem"')
    done = run("token", "--config", str(config), "--user", "u", "--tier", "pro")
    assert done.returncode == 2
    assert done.stderr.startswith("tollgate: auth.private_key: is not set")
    done = run("token", "--demo", "--state", str(tmp_path), "--user", "u", "--tier", "gold")
    assert done.returncode == 2
    assert done.stderr.startswith("tollgate: --tier: there is no tier 'gold'; known: anonymous, enterprise")


def test_claim_names_of_the_configuration_are_used_in_tokens(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_bytes(RSAKey.generate_key(2048).as_pem(private=True))
    config = tmp_path / "config.toml"
    config.write_text(
        '[auth]\nissuer = "i"\naudience = "a"\nprivate_key = "file:own.pem"\nclaims = { user = "uid", tier = "plan" }'
    )
    done = run("token", "--config", str(config), "--user", "u", "--tier", "enterprise")
    caller = identified(Settings.load(config, {}), done.stdout.strip())
    assert (caller.user_id, caller.tier) == ("u", "enterprise")  # type: ignore[attr-defined]  # a Caller


def test_doctor_is_content_with_the_demo(tmp_path: Path) -> None:
    done = run("doctor", "--demo", "--state", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.startswith("ok ") for line in done.stdout.splitlines())
    assert "simulator" in done.stdout


def test_doctor_shows_what_is_reachable_and_masks_every_secret(tmp_path: Path, listener: int) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"""
[storage]
url = "postgresql://user:{CANARY}@127.0.0.1:{listener}/db"
redis_url = "redis://:{CANARY}@127.0.0.1:{free_port()}/0"
[auth]
issuer = "i"
audience = "a"
jwks_url = "http://127.0.0.1:{listener}/jwks?{CANARY}"
[providers.near]
kind = "openai"
base_url = "http://127.0.0.1:{listener}/v1"
api_key = "{CANARY}"
headers = {{ x = "{CANARY}" }}
[providers.plain]
kind = "openai"
base_url = "https://127.0.0.1:{free_port()}/v1"
""")
    done = run("doctor", "--config", str(config))
    marks = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines()}
    assert marks == {
        "server": "ok",
        "tiers": "ok",
        "auth": "ok",
        "keys": "ok",
        "database": "ok",
        "redis": "FAIL",
        "auth.jwks_url": "ok",
        "providers.near": "ok",
        "providers.plain": "FAIL",
    }
    assert done.returncode == 1
    assert CANARY not in done.stdout + done.stderr


def test_doctor_finds_a_database_folder_that_does_not_exist(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[storage]\nurl = "sqlite:///{tmp_path}/nowhere/tollgate.db"')
    done = run("doctor", "--config", str(config))
    assert done.returncode == 1
    assert "its folder does not exist" in done.stdout


@pytest.mark.parametrize("source", ["demo", "config"])
def test_a_busy_port_is_said_in_one_line(tmp_path: Path, listener: int, source: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")
    given = ["--demo", "--state", str(tmp_path)] if source == "demo" else ["--config", str(config)]
    done = run("serve", *given, "--port", str(listener))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"tollgate: cannot listen on 127.0.0.1:{listener}: Address already in use; "
        "stop what uses it, or choose another with --port or [server] port\n"
    )


def test_the_demo_keeps_its_key_to_itself_and_uses_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    settings = demo_settings(folder)
    key = folder / "demo-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["demo-key.pem"]
    first = key.read_bytes()
    again = demo_settings(folder)
    assert key.read_bytes() == first
    token = greeting(settings, folder, "127.0.0.1", 8000).partition("Bearer ")[2].partition("'")[0]
    assert identified(again, token).tier == "professional"  # type: ignore[attr-defined]  # a Caller
    assert settings.storage.url.get_secret_value() == f"sqlite:///{folder}/demo.db"


def test_the_greeting_holds_the_address_the_folder_and_one_line_to_copy(tmp_path: Path) -> None:
    text = greeting(demo_settings(tmp_path), tmp_path, "127.0.0.1", 8123)
    assert str(tmp_path) in text
    line = next(line for line in text.splitlines() if line.startswith("curl "))
    assert " http://127.0.0.1:8123/rpc " in line
    body = json.loads(line.partition(" -d '")[2].rstrip("'"))
    assert body["method"] == "executeAIRequest"


def test_the_demo_ignores_the_keys_of_whoever_starts_it(tmp_path: Path) -> None:
    done = run("doctor", "--demo", "--state", str(tmp_path), OPENAI_API_KEY="k", TOLLGATE__SERVER__WORKERS="9")
    assert "providers.openai" not in done.stdout
    assert "1 worker" in done.stdout


def test_a_key_that_somebody_spoilt_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "demo-key.pem").write_text("spoilt")
    done = run("serve", "--demo", "--state", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "auth.private_key" in done.stderr
