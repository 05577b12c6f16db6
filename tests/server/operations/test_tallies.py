"""Tallies: what is handed over is what the library would have counted by itself."""

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from server.metrics import Metrics
from server.tallies import LABELS_MAX, Counts, Spread

BOUNDS = (0.001, 0.01, 0.1, 1.0)
VALUES = (0.0, 0.0005, 0.001, 0.0011, 0.01, 0.05, 0.1, 0.999, 1.0, 1.5, 600.0)


def sums(registry: CollectorRegistry) -> list[bytes]:
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


def test_a_spread_hands_over_exactly_what_single_observations_come_to() -> None:
    one_by_one, at_once = CollectorRegistry(), CollectorRegistry()
    single = Histogram("h", "h", ("who",), buckets=BOUNDS, registry=one_by_one)
    spread = Spread(Histogram("h", "h", ("who",), buckets=BOUNDS, registry=at_once).labels, BOUNDS)
    for who in ("a", "b"):
        for value in VALUES:
            single.labels(who).observe(value)
            spread.add((who,), value)
        spread.hand_over()
    spread.hand_over()
    assert sums(at_once) == sums(one_by_one)


def test_counts_are_handed_over_once() -> None:
    registry = CollectorRegistry()
    counts = Counts(Counter("c", "c", ("who",), registry=registry).labels)
    counts.add(("a",))
    counts.add(("a",), 4)
    counts.hand_over()
    counts.hand_over()
    assert registry.get_sample_value("c_total", {"who": "a"}) == 5


def test_labels_do_not_pile_up_while_nobody_looks() -> None:
    registry = CollectorRegistry()
    counts = Counts(Counter("c", "c", ("who",), registry=registry).labels)
    spread = Spread(Histogram("h", "h", ("who",), buckets=BOUNDS, registry=registry).labels, BOUNDS)
    for number in range(LABELS_MAX + 2):
        counts.add((f"w{number}",))
        spread.add((f"w{number}",), 0.5)
    assert registry.get_sample_value("c_total", {"who": "w0"}) == 1
    assert registry.get_sample_value("h_count", {"who": "w0"}) == 1


def test_whoever_reads_the_registry_sees_the_calls_that_run_and_those_that_ended() -> None:
    metrics = Metrics()
    metrics.call_began()
    metrics.call_began()
    assert metrics.registry.get_sample_value("tollgate_calls_in_flight") == 2
    metrics.call_done("ping", "rpc", "ok", "", 0.2)
    assert metrics.registry.get_sample_value("tollgate_calls_in_flight") == 1
    assert b'tollgate_call_duration_seconds_bucket{door="rpc",le="0.25",method="ping"} 1.0' in metrics.render()[0]


async def test_a_worker_hands_over_without_being_asked(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.http_request("POST", "/rpc", 200, 0.01)
    labels = {"method": "POST", "route": "/rpc", "status": "200"}
    counted = metrics._http._child(*labels.values())
    async with asyncio.timeout(30):
        while not counted._value.get():  # noqa: ASYNC110  # the library tells nobody that it counts
            await asyncio.sleep(0.05)
    assert counted._value.get() == 1
