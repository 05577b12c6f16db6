"""What the events door answers to each outcome of the gateway; sockets are in the journeys."""

import orjson
import pytest

from methods.errors import Forbidden, InvalidParams
from methods.ingestion import IngestResult
from methods.method import Answer
from methods.progress import ProgressSink
from monetization.calls import Call, Credential
from monetization.errors import Overloaded, RateLimited
from monetization.ingestion.rejecting import Rejected
from server.jsonrpc_parse import Malformed
from server.rest_ingestion import Answered, events_in, ingest
from storage.errors import Fault, StorageUnavailable

EVENT = b'{"event_id": "e"}'


class Gateway:
    """Answers every call with the same outcome."""

    def __init__(self, outcome: Answer | Fault) -> None:
        self.outcome = outcome
        self.calls: list[Call] = []

    async def serve(self, call: Call, sink: ProgressSink | None) -> Answer:
        del sink
        self.calls.append(call)
        if isinstance(self.outcome, Fault):
            raise self.outcome
        return self.outcome


def result(accepted: int, duplicates: int) -> IngestResult:
    return IngestResult(
        accepted=accepted,
        rejected=0,
        duplicates=duplicates,
        dead_letters=0,
        batch_id="b",
        status="all_duplicates" if duplicates and not accepted else "processed",
        processing_time_ms=0.1,
        results=[],
    )


async def answered(outcome: Answer | Fault, body: bytes = EVENT) -> Answered:
    gateway = Gateway(outcome)
    return await ingest(
        gateway.serve, {}, body, credential=Credential("none"), request_id="req_1", started=0.0, depth_max=64
    )


@pytest.mark.parametrize(
    ("fault", "status", "headers"),
    [
        (Overloaded("full", reason="too_many_events", retry_after_seconds=1), 503, [(b"retry-after", b"1")]),
        (StorageUnavailable("away", retry_after_seconds=0.2), 503, [(b"retry-after", b"1")]),
        (RateLimited("slow down", retry_after_seconds=7.5), 429, [(b"retry-after", b"8")]),
        (Forbidden("no"), 403, []),
        (InvalidParams("events: too many"), 400, []),
    ],
)
async def test_a_refusal_has_its_status_and_says_when_to_come_back(
    fault: Fault, status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    found, body, said = await answered(fault)
    assert (found, said) == (status, headers)
    assert orjson.loads(body) == {"error": fault.slug, "message": str(fault), "request_id": "req_1"}


async def test_something_new_is_202_and_nothing_new_is_200() -> None:
    assert (await answered(result(1, 5)))[0] == 202
    assert (await answered(result(0, 0)))[0] == 202
    assert (await answered(result(0, 5)))[0] == 200


async def test_the_call_takes_the_ladder_as_every_other_one() -> None:
    gateway = Gateway(result(1, 0))
    shown = Credential("bearer", "token")
    await ingest(gateway.serve, {}, EVENT, credential=shown, request_id="req_1", started=1.0, depth_max=64)
    assert gateway.calls == [Call("ingestEvents", {"events": [{"event_id": "e"}]}, shown, "req_1", "rest", started=1.0)]


def test_a_single_event_a_list_and_a_batch_are_the_same_elements() -> None:
    for body in (EVENT, b"[" + EVENT + b"]", b'{"events": [' + EVENT + b"]}"):
        assert events_in({}, body, depth_max=64) == [{"event_id": "e"}]
    headers = {"ce-specversion": "1.0", "ce-id": "a%20b", "content-type": "application/json"}
    assert events_in(headers, EVENT, depth_max=64) == [{"specversion": "1.0", "id": "a b", "data": {"event_id": "e"}}]


BAD = {
    b'{"event_id": "half \\ud83d"}': "no half of a character",
    b'{"input_tokens": NaN}': "no NaN",
    b'{"input_tokens": 99999999999999999999999}': "64 bits",
    b'{"event_id": "a", "event_id": "b"}': "twice",
    b"[" * 70 + b"]" * 70: "deep",
}


@pytest.mark.parametrize(("bad", "why"), BAD.items(), ids=BAD.values())
@pytest.mark.parametrize("around", [b"%b", b'{"events": %b}', b' { "customer_id" : [0, "]"] , "events"\t: %b } '])
def test_an_element_that_cannot_be_read_fails_alone_and_says_why(bad: bytes, why: str, around: bytes) -> None:
    array = b"[" + EVENT + b" ,\n" + bad + b"," + EVENT + b"]"
    first, wrong, last = events_in({}, around % array, depth_max=64)
    assert first == last == {"event_id": "e"}
    assert isinstance(wrong, Rejected)
    assert why in wrong.detail
    assert events_in({}, around % (b"[[], [{}], " + bad + b"]"), depth_max=64)[:2] == [[], [{}]]
    for nothing in (around % (array + b","), around % (array[:-1] + b",]")):
        with pytest.raises(Malformed):
            events_in({}, nothing, depth_max=64)


@pytest.mark.parametrize("bad", BAD, ids=BAD.values())
def test_a_batch_of_which_nothing_can_be_read_is_refused_whole(bad: bytes) -> None:
    with pytest.raises(Malformed):
        events_in({}, b'{"events": [%b, %b]}' % (bad, bad), depth_max=64)


@pytest.mark.parametrize(
    "body",
    [
        b'{"events": [%b, NaN], "events": [%b]}', b'{"events": {"a": [%b, NaN, %b]}}', b"[%b, NaN, %b] x", b"[%b, NaN %b]",
        b'{"events" [%b, NaN, %b]}', b'{"events": [%b, NaN, %b]', b'{"events": [%b, NaN, %b],}', b"\xff[%b, NaN, %b]",
        b'{1: 1, "events": [%b, NaN, %b]}', b'{"events": [%b, NaN, %b]} {}', b'"events": [%b, NaN, %b]',
    ],
)  # fmt: skip
def test_what_is_no_array_of_elements_is_refused_whole(body: bytes) -> None:
    with pytest.raises(Malformed):
        events_in({}, body % (EVENT, EVENT), depth_max=64)


def test_more_elements_than_a_batch_may_hold_are_too_many_also_where_one_is_bad() -> None:
    for around in (b"[%b]", b'{"events": [%b]}'):
        with pytest.raises(Malformed, match="1000"):
            events_in({}, around % b",".join([EVENT] * 1_000 + [b"NaN"]), depth_max=64)


def test_a_header_that_is_no_utf_8_is_an_element_that_is_rejected() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "%ff", "content-type": "application/json"}
    assert [type(element) for element in events_in(headers, EVENT, depth_max=64)] == [Rejected]


@pytest.mark.parametrize("body", [b"[]", b" [ ]", b"[%b]" % b",".join([EVENT] * 1_001)])
async def test_a_batch_of_no_events_or_too_many_is_told_how_many_it_may_hold(body: bytes) -> None:
    """CloudEvents allow an empty batch; OpenMonetize's hold 1 to 1,000, and one rule is said for both."""
    for media in ("application/json", "application/cloudevents-batch+json"):
        with pytest.raises(Malformed) as wrong:
            events_in({"content-type": media}, body, depth_max=64)
        assert "1 to 1000 events" in wrong.value.detail
