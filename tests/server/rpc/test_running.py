"""The calls that run, by themselves: who may cancel which, and how a cancellation comes out."""

import asyncio
from typing import Any

import pytest

from methods.errors import Cancelled
from methods.system import METHODS
from monetization.callers import Caller, Secret
from monetization.calls import Call, Credential
from server.running import RunningCalls

ADA = Caller("subscription", user_id="ada")
BEN = Caller("subscription", user_id="ben")


def _call(rpc_id: Any = 1) -> Call:
    return Call("wait", None, Credential("none"), "req_1", rpc_id=rpc_id)


def _byok(key: str, address: str = "127.0.0.1") -> Caller:
    return Caller("anonymous", address=address).bringing(Secret(key))


class Work:
    """A task inside `track`, and how it ended."""

    def __init__(self, running: RunningCalls, caller: Caller, rpc_id: Any = 1) -> None:
        self.inside = asyncio.Event()
        self.cancelling = -1
        self.task = asyncio.create_task(self._work(running, caller, rpc_id))

    async def _work(self, running: RunningCalls, caller: Caller, rpc_id: Any) -> str:
        try:
            with running.track(caller, _call(rpc_id)):
                self.inside.set()
                await asyncio.Event().wait()
        except Cancelled:
            task = asyncio.current_task()
            assert task is not None
            self.cancelling = task.cancelling()
            await asyncio.sleep(0)  # the task can go on as if nothing had happened
            return "cancelled by the caller"
        return "never"


async def _running(running: RunningCalls, caller: Caller = ADA, rpc_id: Any = 1) -> Work:
    work = Work(running, caller, rpc_id)
    await asyncio.wait_for(work.inside.wait(), 30)
    return work


async def _end(*works: Work) -> None:
    for work in works:
        work.task.cancel()
    await asyncio.gather(*(work.task for work in works), return_exceptions=True)


async def test_a_cancelled_call_ends_in_its_fault_and_its_task_lives_on() -> None:
    running = RunningCalls()
    work = await _running(running)
    assert running.cancel(ADA, 1)
    assert not running.cancel(ADA, 1)  # it is on its way already
    assert await work.task == "cancelled by the caller"
    assert work.cancelling == 0
    assert not running.cancel(ADA, 1)  # it is over
    assert not running._running


async def test_a_client_that_leaves_is_no_cancelled_call() -> None:
    running = RunningCalls()
    work = await _running(running)
    work.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work.task
    assert not running._running


@pytest.mark.parametrize("order", ["cancel first", "leave first"])
async def test_leaving_wins_over_cancelling(order: str) -> None:
    running = RunningCalls()
    work = await _running(running)
    if order == "cancel first":
        assert running.cancel(ADA, 1)
        work.task.cancel()
    else:
        work.task.cancel()
        assert running.cancel(ADA, 1)
    with pytest.raises(asyncio.CancelledError):
        await work.task
    assert work.task.cancelled()


async def test_an_id_that_runs_twice_is_ambiguous_until_one_has_ended() -> None:
    running = RunningCalls()
    first, second = await _running(running), await _running(running)
    assert not running.cancel(ADA, 1)
    await _end(first)
    assert running.cancel(ADA, 1)
    assert await second.task == "cancelled by the caller"


async def test_ids_keep_their_type_and_belong_to_their_caller() -> None:
    running = RunningCalls()
    work = await _running(running, ADA, "1")
    assert not running.cancel(ADA, 1)
    assert not running.cancel(BEN, "1")
    assert not running.cancel(Caller("anonymous", address="127.0.0.1"), "1")
    assert running.cancel(ADA, "1")
    await work.task


async def test_a_call_cannot_cancel_itself_and_one_without_an_id_cannot_be_cancelled() -> None:
    running = RunningCalls()
    with running.track(ADA, _call(7)):
        assert not running.cancel(ADA, 7)
    with running.track(ADA, _call(None)):
        assert not running._running


async def test_an_anonymous_callers_own_key_is_the_proof_of_whose_call_it_is() -> None:
    running = RunningCalls()
    work = await _running(running, _byok("key-one"))
    params = next(method for method in METHODS if method.name == "cancelRequest").params_type
    bare = Caller("anonymous", address="127.0.0.1")

    def cancel(**said: Any) -> bool:
        given = params.model_validate({"id": 1, **said})
        return running.cancel(bare.bringing(given.own_key), 1)

    assert not cancel()
    assert not cancel(apiKey="key-two")
    assert not running.cancel(_byok("key-one", address="127.0.0.2"), 1)
    assert "key-one" not in repr(running._running)
    assert cancel(apiKey="key-one")
    await work.task


async def test_a_user_with_an_own_key_stays_that_user() -> None:
    running = RunningCalls()
    work = await _running(running, ADA.bringing(Secret("key-one")))
    assert running.cancel(ADA, 1)
    await work.task


async def test_a_result_that_was_ready_before_the_cancellation_arrived_stands() -> None:
    running = RunningCalls()
    inside, release = asyncio.Event(), asyncio.Event()

    async def shielded() -> str:
        with running.track(ADA, _call()):
            inside.set()
            try:
                await release.wait()
            except asyncio.CancelledError:
                return "settled"  # closing a tab takes no notice
        return "never"

    task = asyncio.create_task(shielded())
    await inside.wait()
    assert running.cancel(ADA, 1)
    assert await task == "settled"
    assert not running._running
