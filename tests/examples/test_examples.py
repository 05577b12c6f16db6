"""Every example runs against a real server, as a reader would run it."""

import http.client
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from server.config import Settings
from tests.examples.conftest import Server
from tests.fakes.npm import FIRST_USE_SECONDS
from tests.fakes.provider import FakeProvider
from tests.fakes.server import ROOT, serving, started
from tests.journeys.world import Client, text_of

EXAMPLES = ROOT / "examples"
COMPATIBLE_KEYS = {
    name: f"made-up-{name.lower()}"
    for name in (
        "MISTRAL_API_KEY",
        "COHERE_API_KEY",
        "OPENROUTER_API_KEY",
        "GROQ_API_KEY",
        "HF_TOKEN",
        "AWS_BEARER_TOKEN_BEDROCK",
    )
}


def ran(command: list[str], server: Server) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_shell_script_gets_an_answer_a_stream_a_batch_and_the_description(server: Server) -> None:
    out = ran(["bash", str(EXAMPLES / "01_first_call.sh")], server)
    one, other, stream, batch, description = [part.partition("\n")[2].strip() for part in out.split("# ")[1:]]
    assert json.loads(one)["result"]["content"] == json.loads(other)["result"]["content"] != ""
    events = [json.loads(line.removeprefix("data:")) for line in stream.splitlines() if line.startswith("data:")]
    progress = [event["params"]["value"] for event in events[:-1]]
    assert progress[0]["kind"] == "start"
    assert events[-1]["id"] == "r-1"
    deltas = [value["delta"]["text"] for value in progress if value["kind"] == "delta"]
    assert "".join(deltas) == events[-1]["result"]["content"] != ""
    assert [answer["id"] for answer in json.loads(batch)] == ["a", "b"]
    assert '"openrpc"' in description


def test_the_python_client_calls_streams_and_tells_errors_apart(server: Server) -> None:
    lines = ran([sys.executable, str(EXAMPLES / "02_client.py")], server).splitlines()
    assert lines[0].startswith("answer: ")
    assert len(lines[0]) > len("answer: ")
    assert "complete: True" in lines
    assert lines[-1] == "refused: -32008 unknown_model"


@pytest.mark.timeout(FIRST_USE_SECONDS)
def test_the_editor_client_streams_and_cancels(server: Server, compiled: Path) -> None:
    lines = ran(["node", str(compiled)], server).splitlines()
    assert lines[0].startswith("models: ")
    assert lines[2].startswith("complete: true tokens: ")
    assert lines[3] == "cancelled"
    assert lines[4] == "refused: -32008 unknown_model"


@pytest.mark.parametrize(
    "config", sorted([*EXAMPLES.glob("config/*.toml"), *EXAMPLES.glob("tiers/*.toml")]), ids=lambda path: path.name
)
def test_every_example_configuration_is_accepted(config: Path) -> None:
    environ = {
        "TOLLGATE_SECRET": "a-secret-of-at-least-thirty-two-characters",
        "ANTHROPIC_API_KEY": "made-up-for-the-test",
        "OPENAI_API_KEY": "made-up-for-the-test",
        "OPENSAAS_PUBLIC_KEY": _public_key(),
        **COMPATIBLE_KEYS,
    }
    assert Settings.load(config, environ).providers


def test_the_smallest_configuration_serves_a_caller_of_its_issuer(tmp_path: Path) -> None:
    secret = "a-secret-of-at-least-thirty-two-characters"
    environment = {
        "TOLLGATE_SECRET": secret,
        "TOLLGATE__STORAGE__URL": f"sqlite:///{tmp_path / 'tollgate.db'}",
    }
    config = str(EXAMPLES / "config" / "minimal.toml")
    claims = {
        "userId": "u1",
        "iss": "https://auth.example.com",
        "aud": "tollgate",
        "exp": 4102444800,
        "iat": 1700000000,
    }
    token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))
    with started(["--config", config], tmp_path, environment=environment) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        connection.request(
            "POST",
            "/rpc",
            '{"jsonrpc":"2.0","id":1,"method":"executeAIRequest","params":{"content":"Hello"}}',
            {"content-type": "application/json", "authorization": f"Bearer {token}", "connection": "close"},
        )
        answer = json.load(connection.getresponse())
        assert answer["result"]["content"]


async def test_every_compatible_vendor_is_served_by_configuration_alone(tmp_path: Path) -> None:
    said = tomllib.loads((EXAMPLES / "config" / "compatible.toml").read_text())
    named = {name: (urlsplit(it["base_url"]).path, it["models"][0]) for name, it in said["providers"].items()}
    secret = "a-secret-of-at-least-thirty-two-characters"
    async with FakeProvider() as fake:
        for name, (path, model) in named.items():
            said["providers"][name]["base_url"] = fake.url + path
            said["prices"][f"{name}/{model}"] = {"input": "1", "output": "2"}
        said["auth"] = {
            "issuer": "https://auth.example.com",
            "audience": "tollgate",
            "algorithms": ["HS256"],
            "secret": secret,
        }
        said["charging"] = {"default_tier": "enterprise"}
        claims = {"userId": "u1", "iss": "https://auth.example.com", "aud": "tollgate", "exp": 4102444800}
        token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))
        with serving({**said, "storage": {}}, tmp_path, environment=COMPATIBLE_KEYS) as running:
            async with aiohttp.ClientSession() as http:
                client = Client(running, http, token)
                for name, (path, model) in named.items():
                    fake.seen.clear()
                    params = {"content": "Hi", "options": {"provider": name, "model": model, "maxTokens": 50}}
                    assert (await client.result("executeAIRequest", params))["provider"] == name
                    assert text_of(await client.stream(params)) != ""
                    key = said["providers"][name].get("api_key", "").removeprefix("env:")
                    for asked in fake.seen:
                        assert asked.path == f"{path}/chat/completions"
                        assert asked.headers.get("authorization") == (f"Bearer {COMPATIBLE_KEYS[key]}" if key else None)
                        assert (asked.json["model"], asked.json["max_tokens"]) == (model, 50)


def _public_key() -> str:
    from joserfc.jwk import RSAKey  # noqa: PLC0415  # making a key is slow, and only one test needs it

    return RSAKey.generate_key(2048).as_pem(private=False).decode()
