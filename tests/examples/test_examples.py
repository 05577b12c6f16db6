"""Every example runs against a real server, as a reader would run it."""

import http.client
import json
import subprocess
import sys
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from server.config import Settings
from tests.examples.conftest import Server
from tests.fakes.server import ROOT, started

EXAMPLES = ROOT / "examples"


def ran(command: list[str], server: Server) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, timeout=60, check=False
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


def test_the_editor_client_streams_and_cancels(server: Server, compiled: Path) -> None:
    lines = ran(["node", str(compiled)], server).splitlines()
    assert lines[0].startswith("models: ")
    assert lines[2].startswith("complete: true tokens: ")
    assert lines[3] == "cancelled"
    assert lines[4] == "refused: -32008 unknown_model"


@pytest.mark.parametrize("config", sorted((EXAMPLES / "config").glob("*.toml")), ids=lambda path: path.name)
def test_every_example_configuration_is_accepted(config: Path) -> None:
    environ = {
        "TOLLGATE_SECRET": "a-secret-of-at-least-thirty-two-characters",
        "ANTHROPIC_API_KEY": "made-up-for-the-test",
        "OPENAI_API_KEY": "made-up-for-the-test",
        "OPENSAAS_PUBLIC_KEY": _public_key(),
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


def _public_key() -> str:
    from joserfc.jwk import RSAKey  # noqa: PLC0415  # making a key is slow, and only one test needs it

    return RSAKey.generate_key(2048).as_pem(private=False).decode()
