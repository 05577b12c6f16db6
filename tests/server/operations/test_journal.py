"""One line and one count for every call."""

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from methods.errors import Cancelled, Internal
from monetization.callers import Caller, Secret
from monetization.calls import Call, Credential
from monetization.charging.policies import Asset, Charge
from monetization.errors import RateLimited
from monetization.tab import Meter, Receipt
from monetization.terms import Target
from monetization.tiers import Policy
from server.drain import Drain
from server.journal import Journal
from server.log_writer import HELD_BYTES_MAX, LineWriter
from server.logs import Logs
from server.metrics import Metrics
from server.redaction import Redactor
from storage.errors import Fault
from storage.records.usage import Usage

CANARY = "canary-7d1f0c93"
CREDENTIAL = "sk-live-0123456789abcdef"


@dataclass
class Desk:
    file: Path
    logs: Logs
    metrics: Metrics
    drain: Drain
    journal: Journal

    def lines(self) -> list[dict[str, object]]:
        self.logs.close()
        return [orjson.loads(line) for line in self.file.read_bytes().splitlines()]

    def count(self, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value("tollgate_calls_total", {"door": "rpc", **labels})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    file = tmp_path / "log"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    logs = Logs(LineWriter(descriptor), now=lambda: 1_700_000_000.0, redactor=Redactor([CANARY]))
    metrics, drain = Metrics(), Drain()
    yield Desk(
        file, logs, metrics, drain, Journal(logs, metrics, drain, now=lambda: 1_700_000_000.0, monotonic=lambda: 12.5)
    )
    logs.close()
    os.close(descriptor)


def a_call(request_id: str = "req_1") -> Call:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    return Call(
        "executeAIRequest",
        {"content": CANARY},
        Credential("bearer", CREDENTIAL),
        request_id,
        started=12.0,
        traceparent=trace,
        is_stream=True,
    )


def test_a_served_call_is_one_line_with_who_what_and_how_much(desk: Desk) -> None:
    with desk.journal.entry(a_call()) as entry:
        assert desk.drain.running == 1
        entry.caller = Caller("byok", "user_1", "org_1", tier="starter", own_key=Secret(CREDENTIAL))
        entry.meter = Meter(Target("openai", "gpt-4o"), Usage(input=7, output=3), first_byte=12.25)
    assert desk.drain.running == 0
    assert desk.lines() == [
        {
            "ts": "2023-11-14T22:13:20Z",
            "level": "info",
            "event": "call",
            "request_id": "req_1",
            "method": "unknown",
            "door": "rpc",
            "outcome": "ok",
            "reason": None,
            "code": None,
            "latency_ms": 500.0,
            "stream": True,
            "notification": False,
            "caller": "byok",
            "user": "user_1",
            "organization": "org_1",
            "tier": "starter",
            "provider": "openai",
            "model": "gpt-4o",
            "tokens_input": 7,
            "tokens_output": 3,
            "first_byte_ms": 250.0,
            "trace_id": "a" * 32,
        }
    ]
    assert desk.count(method="unknown", outcome="ok", reason="") == 1


@pytest.mark.parametrize(
    ("policy", "asset", "amount", "cost", "charged"),
    [
        ("credits", "CREDIT", 2_500_000_000, 0.5, 2.5),
        ("virtual_tokens", "TOKEN", 12, 0.5, 12.0),
        ("allowance", None, 0, 0.5, None),
        ("byok", None, 0, None, None),
    ],
)
def test_what_a_call_came_to_is_counted_in_whole_units(
    desk: Desk, policy: Policy, asset: Asset | None, amount: int, cost: float | None, charged: float | None
) -> None:
    call = a_call()
    with desk.journal.entry(call) as entry:
        entry.meter = Meter(Target("openai", "gpt-4o"), Usage(input=7, output=3))
        charge = Charge(policy, 10, 500_000_000, 0, asset, amount, 0)
        call.receipts.append(Receipt(Usage(input=7, output=3), charge=charge, asset=asset, amount=amount))
    desk.metrics.hand_over()
    told = desk.metrics.registry.get_sample_value
    assert told("tollgate_provider_cost_usd_total", {"provider": "openai"}) == cost
    assert told("tollgate_charged_total", {"asset": asset or "none"}) == charged


@pytest.mark.parametrize(
    ("problem", "outcome", "reason", "code"),
    [
        (RateLimited("slow down"), "fault", "rate_limited", -32002),
        (Cancelled(), "cancelled", "cancelled", -32800),
        (asyncio.CancelledError(), "cancelled", "cancelled", -32800),
    ],
)
def test_a_fault_and_a_cancellation_pass_through_and_are_counted(
    desk: Desk, problem: BaseException, outcome: str, reason: str, code: int
) -> None:
    with pytest.raises(type(problem)) as passed, desk.journal.entry(a_call()):
        raise problem
    assert passed.value is problem
    (line,) = desk.lines()
    assert (line["outcome"], line["reason"], line["code"]) == (outcome, reason, code)
    assert desk.count(method="unknown", outcome=outcome, reason=reason) == 1


def test_an_exception_becomes_a_constant_fault_and_its_traceback_a_clean_line(desk: Desk) -> None:
    with pytest.raises(Fault) as seen, desk.journal.entry(a_call()):
        raise ZeroDivisionError(f"Authorization: Bearer {CREDENTIAL} and {CANARY}")
    assert type(seen.value) is Internal
    assert (str(seen.value), seen.value.data, seen.value.__cause__) == ("Internal error", {}, None)
    mishap, line = desk.lines()
    assert "ZeroDivisionError" in str(mishap["exception"])
    assert (line["outcome"], line["code"], line["level"]) == ("error", -32603, "error")
    assert desk.drain.running == 0


@pytest.mark.parametrize("secret", [CANARY, CREDENTIAL, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"])
def test_a_secret_in_a_field_of_the_caller_never_reaches_the_log(desk: Desk, secret: str) -> None:
    with desk.journal.entry(a_call(request_id=secret)) as entry:
        entry.caller = Caller("subscription", secret)
    desk.logs.logger("test").info("said", why=f"x-api-key: {secret}", url=f"https://user:{secret}@host/")
    desk.logs.close()
    assert secret not in desk.file.read_text()
    assert len(desk.lines()) == 2


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefghijkl",
        "authorization: basic dXNlcjpwYXNz",
        "key sk-ant-api03-abcdefgh",
        "AIzaSyA1234567890abcdefghijklmnop",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "tg_live_0123456789abcdef_hunter2hunter2hunter2",
        "postgresql://tollgate:hunter2hunter2@db/x",
        '{"api_key": "abcdef123456"}',
        "password=hunter2hunter2",
    ],
)
def test_what_looks_like_a_credential_is_hidden(text: str) -> None:
    clean = Redactor().text(text)
    assert "***" in clean
    assert Redactor().is_suspicious(text)
    assert not any(word in clean for word in ("abcdef", "dXNlc", "SyA123", "MfKQ", "hunter2"))


def test_ordinary_lines_stay_as_they_are() -> None:
    text = 'token_count=12 "tokens_input": 5 task-force keyboard https://example.com/a@b secretary'
    assert Redactor(["abc"]).text(text) == text


@pytest.mark.parametrize("words", ["user-1 None enterprise", "whitney bea basic", "openai gpt-4o", "a private premium"])
def test_ordinary_names_are_not_looked_at_twice(words: str) -> None:
    assert not Redactor(["abc"]).is_suspicious(words)


def test_a_key_of_several_lines_is_hidden_in_json_too() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\n" + "Q" * 64 + "\n-----END PRIVATE KEY-----"
    clean = Redactor([pem]).line(orjson.dumps({"error": f"cannot read {pem} here"}))
    assert b"QQQQ" not in clean
    assert orjson.loads(clean)["error"].startswith("cannot read ***")


def test_a_reader_that_stands_still_never_stops_the_writer_and_losses_are_counted() -> None:
    reading, writing = os.pipe()
    lost: list[int] = []
    writer = LineWriter(writing, on_dropped=lost.append)
    line = b"x" * (1024 * 1024 - 1) + b"\n"
    for _ in range(3 * HELD_BYTES_MAX // len(line)):
        writer.write(line)
    assert writer.dropped > 0
    assert sum(lost) == writer.dropped

    def drain_pipe() -> None:
        while os.read(reading, 1 << 20):
            pass

    reader = threading.Thread(target=drain_pipe)
    reader.start()
    writer.close()
    os.close(writing)
    reader.join(timeout=60)
    os.close(reading)
    assert not reader.is_alive()
