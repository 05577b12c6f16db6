"""Who is blocked, for what and how long; and above all who is not."""

import asyncio

import pytest

from monetization.abuse import SUBJECTS_MAX, AbuseRules, Block, Watch
from monetization.callers import Caller
from monetization.directory import Directory
from monetization.errors import RateLimited
from storage.records.directory import DirectoryEntry
from storage.store import open_store

SECOND = 1_000_000
RULES = AbuseRules(
    failures_max=3,
    violations_max=3,
    window_us=10 * SECOND,
    block_us=60 * SECOND,
    exempt=("10.0.0.0/8", "2001:db8:f::/48"),
)
ADA = Caller(kind="subscription", user_id="ada")
HERE = "192.0.2.1"


class Clock:
    now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    return Watch(RULES, clock_us=clock)


def is_blocked(watch: Watch, address: str = HERE) -> bool:
    try:
        watch.check_address(address)
    except RateLimited:
        return True
    return False


def guess(watch: Watch, times: int, address: str = HERE, *, reason: str = "bad_signature") -> None:
    for number in range(times):
        watch.failed(address, f"guess {number}", reason)


def test_many_different_credentials_that_never_held_block_their_address_until_the_block_ends(
    watch: Watch, clock: Clock
) -> None:
    guess(watch, 2)
    assert not is_blocked(watch)
    guess(watch, 3)
    with pytest.raises(RateLimited) as refused:
        watch.check_address(HERE)
    assert refused.value.slug == "blocked"
    assert refused.value.data == {
        "rule": "failed_credentials",
        "resetTime": "1970-01-01T00:17:40Z",
        "retryAfter": 60,
    }
    assert not is_blocked(watch, "192.0.2.2")
    clock.now += 60 * SECOND
    assert not is_blocked(watch)


def test_one_bad_credential_however_often_blocks_nobody(watch: Watch) -> None:
    for _ in range(1_000):
        watch.failed(HERE, "the same old token", "bad_signature")
    assert not is_blocked(watch)


@pytest.mark.parametrize("reason", ["token_expired", "key_rotated", "key_revoked", "tokens_off", "keys_unavailable"])
def test_credentials_that_once_held_are_no_guesses(watch: Watch, reason: str) -> None:
    guess(watch, 50, reason=reason)
    assert not is_blocked(watch)


def test_an_address_from_which_somebody_signed_in_lately_is_not_blocked_for_others(watch: Watch, clock: Clock) -> None:
    watch.succeeded(HERE)
    guess(watch, 20)
    assert not is_blocked(watch)
    clock.now += 10 * SECOND
    guess(watch, 3)
    assert is_blocked(watch)


def test_a_block_of_another_process_does_not_hold_where_somebody_signed_in_lately(watch: Watch, clock: Clock) -> None:
    watch.succeeded(HERE)
    watch.heard(entry(f"ip:{HERE}", body='{"rule":"failed_credentials","count":3}'))
    assert not is_blocked(watch)
    clock.now += 10 * SECOND
    assert is_blocked(watch), "nobody has signed in for the whole window"
    watch.succeeded(HERE)
    watch.heard(entry(f"ip:{HERE}"))
    assert is_blocked(watch), "who was too fast is blocked all the same"


def test_failures_that_lie_further_apart_than_the_window_do_not_add_up(watch: Watch, clock: Clock) -> None:
    for number in range(20):
        watch.failed(HERE, f"guess {number}", "bad_signature")
        clock.now += 6 * SECOND
    assert not is_blocked(watch)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:f::1", "a socket", "unknown"])
def test_exempt_networks_and_what_is_no_address_are_never_blocked(watch: Watch, address: str) -> None:
    guess(watch, 100, address)
    watch.heard(entry(f"ip:{address}"))
    assert not is_blocked(watch, address)


def test_an_ipv6_network_counts_as_one_address(watch: Watch) -> None:
    for number in range(3):
        watch.failed(f"2001:db8:1:2::{number}", f"guess {number}", "unknown_key")
    assert is_blocked(watch, "2001:db8:1:2:ffff::")
    assert not is_blocked(watch, "2001:db8:1:3::")


def test_a_user_who_breaks_limits_again_and_again_is_blocked_alone(watch: Watch) -> None:
    for _ in range(3):
        watch.check(ADA)
        watch.violated(ADA, HERE)
    with pytest.raises(RateLimited):
        watch.check(ADA)
    watch.check(Caller(kind="subscription", user_id="bob"))
    assert not is_blocked(watch)


def test_whoever_may_end_blocks_is_not_held_up_by_one(watch: Watch) -> None:
    for _ in range(10):
        watch.violated(ADA, HERE)
    watch.check(Caller(kind="subscription", user_id="ada", roles=frozenset({"admin"})))


def test_without_rules_nothing_is_counted(clock: Clock) -> None:
    watch = Watch(AbuseRules(), clock_us=clock)
    guess(watch, 10_000)
    for _ in range(10_000):
        watch.violated(ADA, HERE)
    watch.check(ADA)
    assert not is_blocked(watch)


def entry(
    owner: str, *, until_us: int = 2_000 * SECOND, body: str = '{"rule":"limit_violations","count":3}'
) -> DirectoryEntry:
    return DirectoryEntry("default", "block", owner, owner, body, until_us)


def test_blocks_of_other_processes_hold_here_until_they_are_lifted_or_end(watch: Watch) -> None:
    watch.heard(entry(f"ip:{HERE}"))
    watch.heard(entry("user:ada"))
    assert is_blocked(watch)
    watch.heard(entry(f"ip:{HERE}", body=""))
    assert not is_blocked(watch)
    with pytest.raises(RateLimited):
        watch.check(ADA)
    watch.heard(entry("user:ada", until_us=1))
    watch.check(ADA)


async def test_what_one_process_has_blocked_another_refuses_from_its_start(watch: Watch, clock: Clock) -> None:
    async with open_store("sqlite://", clock_us=clock) as store:
        directory = await Directory.opened(store, clock_us=clock, monotonic=lambda: 1.0)
        guess(watch, 3)
        await watch.write(directory)
        later = Watch(RULES, clock_us=clock)
        await later.load(directory)
        assert is_blocked(later)
        clock.now += 60 * SECOND
        assert not is_blocked(later)


async def test_who_is_let_go_is_counted_anew_and_not_blocked_by_what_was_still_to_be_written(
    watch: Watch, clock: Clock
) -> None:
    async with open_store("sqlite://", clock_us=clock) as store:
        directory = await Directory.opened(store, clock_us=clock, monotonic=lambda: 1.0)
        guess(watch, 3)
        watch.heard(entry(f"ip:{HERE}", body=""))
        await watch.write(directory)
        assert (await directory.page("block")).rows == ()
        guess(watch, 2)
        watch.heard(entry(f"ip:{HERE}", body=""))
        watch.failed(HERE, "another guess", "bad_signature")
        assert not is_blocked(watch)


async def test_a_block_that_begins_anew_while_it_is_written_is_written_again(watch: Watch, clock: Clock) -> None:
    async with open_store("sqlite://", clock_us=clock) as store:
        directory = await Directory.opened(store, clock_us=clock, monotonic=lambda: 1.0)
        guess(watch, 3)
        writing = asyncio.create_task(watch.write(directory))
        await asyncio.sleep(0)  # it is under way
        clock.now += 5 * SECOND
        guess(watch, 3)
        await writing
        await watch.write(directory)
        later = Watch(RULES, clock_us=clock)
        await later.load(directory)
        clock.now += 59 * SECOND
        assert is_blocked(later), "until the end of the second block"


def test_what_is_counted_stays_bounded_however_many_addresses_there_are(clock: Clock) -> None:
    blocks: list[Block] = []
    watch = Watch(AbuseRules(failures_max=2), clock_us=clock, on_block=blocks.append)
    for number in range(SUBJECTS_MAX + 1):
        watch.failed(f"198.{number >> 16}.{(number >> 8) & 255}.{number & 255}", "one", "bad_signature")
    watch.failed("198.0.0.0", "two", "bad_signature")
    assert blocks == [], "the first address was forgotten"
    watch.failed("198.0.0.2", "two", "bad_signature")
    assert [block.owner for block in blocks] == ["ip:198.0.0.2"]
