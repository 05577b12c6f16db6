"""Reading tiers again: whole sets are swapped, a bad file changes nothing, and everybody who asked hears of it."""

from dataclasses import dataclass, field

import pytest

from monetization.tiers import BUILT_IN, Tier, Tiers
from monetization.tiers_in_force import Read, Reload, TiersInForce, Unreadable

FIRST = Tiers(BUILT_IN, default="free")


@dataclass
class File:
    """A tier file whose writing is a step of the test."""

    says: Read | str = field(default_factory=lambda: Read(FIRST))
    written: int = 1

    def read(self) -> Read:
        if isinstance(self.says, str):
            raise Unreadable(self.says)
        return self.says

    def stamp(self) -> object:
        return self.written


def test_a_reload_swaps_the_whole_set_and_names_what_changed() -> None:
    file = File()
    in_force = TiersInForce(FIRST, file)
    heard: list[Reload] = []
    in_force.tell(heard.append)
    file.says = Read(
        Tiers([*BUILT_IN, Tier("student", "Student")], default="student"), warnings=("w",), waiting=("server",)
    )
    reload = in_force.reload()
    assert in_force.tiers() is file.says.tiers
    assert reload == heard[0] == Reload(True, None, ["free", "student"], ("w",), ("server",))  # noqa: FBT003  # as recorded


def test_a_changed_order_counts_as_a_change_of_the_tiers_in_it() -> None:
    file = File()
    in_force = TiersInForce(FIRST, file)
    file.says = Read(Tiers(BUILT_IN, default="free", order=("starter", "free")))
    assert set(in_force.reload().changed) == {"anonymous", "starter", "professional", "enterprise"}


def test_a_file_that_cannot_be_served_changes_nothing_and_says_why() -> None:
    file = File("tiers.pro.rpm: should be a valid integer")
    in_force = TiersInForce(FIRST, file)
    reload = in_force.reload()
    assert (reload.is_done, reload.problem) == (False, "tiers.pro.rpm: should be a valid integer")
    assert in_force.tiers() is FIRST


async def test_a_file_is_read_once_for_every_time_it_was_written() -> None:
    file = File()
    in_force = TiersInForce(FIRST, file)
    heard: list[Reload] = []
    in_force.tell(heard.append)
    await in_force.poll()
    assert heard == []
    file.written, file.says = 2, "bad"
    await in_force.poll()
    await in_force.poll()
    assert [reload.is_done for reload in heard] == [False]
    file.written, file.says = 3, Read(FIRST)
    await in_force.poll()
    assert [reload.is_done for reload in heard] == [False, True]


async def test_what_comes_of_a_reload_is_noted_before_it_is_in_force_and_without_the_note_nothing_changes() -> None:
    file = File()
    in_force = TiersInForce(FIRST, file)
    file.written, file.says = 2, Read(Tiers(BUILT_IN, default="starter"))
    noted: list[tuple[Reload, Tiers]] = []

    async def note(reload: Reload) -> None:
        noted.append((reload, in_force.tiers()))
        if len(noted) == 1:
            raise OSError("the books are away")

    with pytest.raises(OSError, match="the books are away"):
        await in_force.reload_noted(note)
    assert in_force.tiers() is FIRST
    assert await in_force.reload_noted(note) == noted[1][0]
    assert [seen for _, seen in noted] == [FIRST, FIRST]
    assert in_force.tiers() is file.says.tiers


async def test_a_reading_that_was_overtaken_while_it_was_noted_does_not_come_back() -> None:
    file = File()
    in_force = TiersInForce(FIRST, file)
    newer = Tiers(BUILT_IN, default="starter")

    async def overtaken(_: Reload) -> None:
        file.written, file.says = 2, Read(newer)
        await in_force.poll()

    await in_force.reload_noted(overtaken)
    assert in_force.tiers() is newer
