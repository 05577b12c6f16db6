"""When the lane commits: at once for one caller, seldom for a loop that has much to do, never put off for long."""

import asyncio
from collections.abc import Generator, Sequence

from storage.sql.sqlite.lane import COMMANDS_MAX, ROUNDS_MAX, SHARED, Lane


class Tape:
    """A transaction that remembers its batches."""

    def __init__(self, pauses: int = 0, wrong: object = None) -> None:
        self.batches: list[list[object]] = []
        self.pauses = pauses
        self.wrong = wrong

    def prepare(self, commands: Sequence[object]) -> Generator[None, None, Sequence[object]]:
        self.batches.append(list(commands))
        for _ in range(self.pauses):
            yield
        if self.wrong in commands:
            raise ValueError(self.wrong)
        return list(commands)

    def commit(self) -> None:
        """There is no disk."""

    def keep(self) -> None:
        """Nor a state."""

    def undo(self) -> None:
        """Nothing to undo."""


async def test_a_single_command_begins_in_the_next_round_of_the_loop() -> None:
    tape = Tape()
    lane = Lane(tape, asyncio.get_running_loop())

    answer = lane.submit("alone")
    assert not tape.batches
    await asyncio.sleep(0)

    assert tape.batches == [["alone"]]
    assert await answer == "alone"
    await lane.close()


async def test_commands_that_keep_coming_round_after_round_share_one_commit() -> None:
    tape = Tape()
    lane = Lane(tape, asyncio.get_running_loop())

    async def late(rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
        await lane.submit(rounds)

    await asyncio.gather(*(late(rounds) for rounds in range(5) for _ in range(2)))

    assert [len(batch) for batch in tape.batches] == [10]
    await lane.close()


async def test_callers_that_answer_one_commit_at_once_share_the_next() -> None:
    tape = Tape()
    lane = Lane(tape, asyncio.get_running_loop())

    async def twice(number: int) -> None:
        assert await lane.submit(number) == number
        assert await lane.submit(-number) == -number

    await asyncio.gather(*(twice(number) for number in range(40)))

    assert [len(batch) for batch in tape.batches] == [40, 40]
    await lane.close()


async def test_a_loop_that_never_pauses_does_not_put_a_commit_off_for_ever() -> None:
    tape = Tape()
    lane = Lane(tape, asyncio.get_running_loop())

    waiting: list[asyncio.Future[object]] = []
    for round_ in range(3 * ROUNDS_MAX):
        waiting += [lane.submit((round_, number)) for number in range(2)]
        await asyncio.sleep(0)

    assert tape.batches
    assert len(tape.batches[0]) <= 2 * (ROUNDS_MAX + 2)
    await asyncio.gather(*waiting)
    await lane.close()


async def test_a_transaction_that_pauses_lets_others_run_and_keeps_those_who_come_meanwhile_for_the_next() -> None:
    tape = Tape(pauses=3)
    lane = Lane(tape, asyncio.get_running_loop())

    first = lane.submit("first")
    for _ in range(3):
        await asyncio.sleep(0)
    second = lane.submit("second")

    assert not first.done(), "rounds of the loop passed within one transaction"
    assert await first == "first"
    assert await second == "second"
    assert tape.batches == [["first"], ["second"]]
    await lane.close()


async def test_pieces_of_many_weigh_less_than_as_many_single_commands() -> None:
    tape = Tape()
    lane = Lane(tape, asyncio.get_running_loop())

    fitting = COMMANDS_MAX // -(-100 // SHARED)
    pieces = [lane.submit(("piece", number), 100) for number in range(2 * fitting)]
    singles = [lane.submit(number) for number in range(COMMANDS_MAX)]
    await asyncio.gather(*pieces, *singles)

    assert len(tape.batches[0]) == fitting
    assert fitting * 100 > 4 * COMMANDS_MAX
    await lane.close()


async def test_a_mistake_behind_a_pause_is_found_alone_and_its_neighbours_are_applied() -> None:
    tape = Tape(pauses=2, wrong="wrong")
    lane = Lane(tape, asyncio.get_running_loop())

    waiting = [lane.submit(word) for word in ("one", "wrong", "two")]
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert answers[0] == "one"
    assert isinstance(answers[1], ValueError)
    assert answers[2] == "two"
    assert tape.batches == [["one", "wrong", "two"], ["one"], ["wrong"], ["two"]]
    await lane.close()
