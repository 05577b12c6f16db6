"""Mistakes in a configuration: one line that names the key, exit code 2, no traceback, no secret."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.fakes.server import TOLLGATE, refused

SECRET = "canary-in-a-broken-file-31"
SIMULATOR = {"providers": {"simulator": {"kind": "simulator"}}}
PEM = ECKey.generate_key("P-256").as_pem(private=True).decode()
WEAK = RSAKey.generate_key(2048).as_pem(private=False).decode()
AUTH = {"issuer": "https://i.example", "audience": "a"}

MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"server": {"prot": 1}}, "server.prot"),
    "workers on sqlite": ({"server": {"workers": 2}}, "server.workers"),
    "database of an unknown kind": ({"storage": {"url": f"mysql://u:{SECRET}@h/d"}}, "storage.url"),
    "database in a folder that is not there": ({"storage": {"url": "sqlite:////nowhere/at/all.db"}}, "storage.url"),
    "missing environment": (
        {"providers": {"openai": {"api_key": "env:TOLLGATE_TEST_NOT_SET"}}},
        "providers.openai.api_key",
    ),
    "missing file": ({"auth": {**AUTH, "public_key": "file:nowhere.pem"}}, "auth.public_key"),
    "wrong algorithm": ({"auth": {**AUTH, "algorithms": ["ES256"], "public_key": WEAK}}, "auth.algorithms"),
    "unknown kind": ({"providers": {"x": {"kind": "mystery", "api_key": SECRET}}}, "providers.x.kind"),
    "unknown default": ({"routing": {"default_provider": "nobody"}, **SIMULATOR}, "routing.default_provider"),
    "unknown tier": ({"charging": {"default_tier": "nobody"}, **SIMULATOR}, "charging.default_tier"),
    "float price": ({"prices": {"openai/x": {"input": 1.5, "output": "2"}}}, "prices"),
    "folder of prompts that is not there": ({"prompts": {"directory": "nowhere"}, **SIMULATOR}, "prompts.directory"),
    "public method that is none": ({"auth": {"public_methods": ["helth"]}, **SIMULATOR}, "auth.public_methods"),
    "price without a provider": ({"prices": {"x": {"input": "1", "output": "2"}}, **SIMULATOR}, "prices"),
    "database that lives nowhere": ({"storage": {"url": "sqlite:///:memory:"}, **SIMULATOR}, "storage.url"),
    "database at no port": ({"storage": {"url": f"postgresql://u:{SECRET}@h:x/d"}, **SIMULATOR}, "storage.url"),
    "database that is down": (
        {"storage": {"url": f"postgresql://u:{SECRET}@127.0.0.1:9/d"}, **SIMULATOR},
        "storage.url",
    ),
    "database that is down, several workers": (
        {"storage": {"url": f"postgresql://u:{SECRET}@127.0.0.1:9/d"}, "server": {"workers": 2}, **SIMULATOR},
        "storage.url",
    ),
    "same alias twice": ({"tiers": {"a": {"aliases": ["z"]}, "b": {"aliases": ["z"]}}, **SIMULATOR}, "tiers.b.aliases"),
    "provider header with a line end": (
        {"providers": {"openai": {"headers": {"x-team": f"{SECRET}\nx: y"}, "base_url": "http://127.0.0.1:9"}}},
        "providers.openai.headers.x-team",
    ),
    "key in a header with a line end": (
        {"providers": {"openai": {"api_key": f"{SECRET}\nx: y", "base_url": "http://127.0.0.1:9"}}},
        "providers.openai.api_key",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_stops_the_start_with_one_line(name: str, tmp_path: Path) -> None:
    settings, key = MISTAKES[name]
    code, said = refused(settings, tmp_path)
    assert (code, said.count("\n")) == (2, 1), said
    assert key in said
    assert SECRET not in said


@pytest.mark.parametrize("text", ["[server\n", "server = 1\n", "\x00", "[server]\nport = 1\nport = 2\n"])
def test_a_file_that_is_no_configuration_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(text)
    done = subprocess.run(
        [*TOLLGATE, "serve", "--config", str(file)], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
