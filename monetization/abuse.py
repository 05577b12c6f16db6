"""Who is refused for a while: failed credentials and broken limits are counted, and too many of them block, for a time that ends.

Counted in the memory of each process, bounded; the blocks themselves are entries of the directory, which every process hears of.
Nobody is locked out by others: an address is blocked for many different credentials that never held, not for one shown often; one
from which somebody has signed in lately is not blocked at all; and whoever signed in before goes on behind a blocked address.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final

import orjson

from monetization.callers import Caller
from monetization.directory import Act, Directory, Document, putting
from monetization.errors import RateLimited
from monetization.limits.bounds import network_of
from monetization.periods import iso
from storage.records.directory import DirectoryEntry
from storage.records.fact import fact

# Any: a body is JSON that `Watch` has written.

BLOCK: Final = "block"
"""Documents of this kind: owner and key `user:ID` or `ip:NETWORK`; they expire when the block ends."""
SUBJECTS_MAX: Final = 10_000
"""Subjects that are counted in one process; of more, those not heard of longest are forgotten."""
WRITTEN_MAX: Final = 200
"""Blocks that one process writes at once."""
SERVER: Final = "server"
"""Who blocked, in the audit."""
NO_GUESS: Final = frozenset({
    "token_expired", "not_yet_valid", "key_expired", "key_revoked", "key_rotated", "tokens_off", "keys_off",
    "operator_off", "keys_unavailable", "missing_claim", "invalid_claim",
})  # fmt: skip
"""Refusals of credentials that somebody was once given, or that this server takes from nobody: they are no guesses."""
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class AbuseRules:
    """When somebody is blocked, and for how long."""

    failures_max: int = 0
    """Different credentials that did not hold, from one address in the window. 0: never blocked for it."""
    violations_max: int = 0
    """Calls of one subject refused for speed in the window. 0: never blocked for it."""
    window_us: int = 600 * _SECOND_US
    block_us: int = 900 * _SECOND_US
    exempt: tuple[str, ...] = ()
    """Networks from which nothing is counted and nobody blocked, such as those of proxies and of the operator."""


@fact
class Block:
    """Somebody who is refused until an instant."""

    owner: str
    rule: str
    """`failed_credentials` or `limit_violations`."""
    count: int
    until_us: int

    def members(self) -> dict[str, object]:
        """The JSON of the document."""
        return {"rule": self.rule, "count": self.count, "untilUs": self.until_us}


@dataclass(slots=True)
class _Count:
    """One subject's window."""

    began_us: int
    seen: set[int] = field(default_factory=set)
    """Hashes of the credentials that failed; never the credentials."""
    times: int = 0


def block_of(document: Document) -> Block:
    """What a document says of a block."""
    return _block(document.owner, document.body, document.expires_us)


def _block(owner: str, said: Mapping[str, Any], expires_us: int) -> Block:
    return Block(owner, str(said.get("rule", "")), int(said.get("count", 0)), expires_us)


class Watch:
    """Counts, blocks, and refuses who is blocked. Used from one event loop."""

    def __init__(
        self,
        rules: AbuseRules,
        *,
        clock_us: Callable[[], int],
        on_block: Callable[[Block], None] = lambda _: None,
    ) -> None:
        self._rules = rules
        self._clock_us = clock_us
        self._on_block = on_block
        self._exempt = [ip_network(network, strict=False) for network in rules.exempt]
        self._failures: OrderedDict[str, _Count] = OrderedDict()
        self._violations: OrderedDict[str, _Count] = OrderedDict()
        self._good: OrderedDict[str, int] = OrderedDict()
        """When somebody last signed in from a network."""
        self._blocked: OrderedDict[str, Block] = OrderedDict()
        self._unwritten: dict[str, Block] = {}

    # On every call ------------------------------------------------------------------------------------------------------

    def check(self, caller: Caller) -> None:
        """Refuse a user who is blocked; never one who can end blocks. Raises: RateLimited with the reason `blocked`."""
        if self._blocked and caller.user_id is not None and not caller.may("blocks:write"):
            self._refuse(f"user:{caller.user_id}")

    def check_address(self, address: str | None) -> None:
        """Refuse a credential that is not known yet, or none, from a blocked address. Raises: RateLimited."""
        if self._blocked and address is not None and not self.is_exempt(address):
            network = network_of(address)
            block = self._blocked.get(f"ip:{network}")
            # Also a block of another process, which has seen none of those who sign in here.
            if block is not None and not (block.rule == "failed_credentials" and self._is_good(network)):
                self._refuse(block.owner)

    def _is_good(self, network: str) -> bool:
        """Whether somebody has signed in from there lately."""
        at = self._good.get(network)
        return at is not None and self._clock_us() - at < self._rules.window_us

    def _refuse(self, owner: str) -> None:
        block = self._blocked.get(owner)
        if block is None:
            return
        left_us = block.until_us - self._clock_us()
        if left_us <= 0:
            del self._blocked[owner]
            return
        seconds = -(-left_us // _SECOND_US)
        whom = "this user" if owner.startswith("user:") else "this address"
        why = "credentials that did not hold" if block.rule == "failed_credentials" else "calls beyond its limits"
        until = iso(-(-block.until_us // _SECOND_US) * _SECOND_US)
        raise RateLimited(
            f"{whom} is blocked until {until} for too many {why}; wait, or ask the operator",
            reason="blocked",
            retry_after_seconds=seconds,
            data={"rule": block.rule, "resetTime": until, "retryAfter": seconds},
        )

    # What is counted ----------------------------------------------------------------------------------------------------

    def failed(self, address: str | None, shown: str, reason: str) -> None:
        """A credential did not hold."""
        rules = self._rules
        if not rules.failures_max or address is None or reason in NO_GUESS or self.is_exempt(address):
            return
        network, now = network_of(address), self._clock_us()
        count = self._count(self._failures, network, now)
        count.seen.add(hash(shown))
        if len(count.seen) < rules.failures_max:
            return
        del self._failures[network]
        if not self._is_good(network):
            self._begin(f"ip:{network}", "failed_credentials", len(count.seen), now)

    def succeeded(self, address: str | None) -> None:
        """A credential held that was not known here a moment ago."""
        if self._rules.failures_max and address is not None:
            network = network_of(address)
            self._good[network] = self._clock_us()
            self._good.move_to_end(network)
            _bound(self._good)

    def violated(self, caller: Caller, address: str | None) -> None:
        """A call was refused for speed."""
        rules = self._rules
        if caller.is_organizations:  # its admins know the key and end it; the address is no stranger's
            return
        if not rules.violations_max or (address is not None and self.is_exempt(address)):
            return
        owner = f"ip:{network_of(address or 'unknown')}" if caller.user_id is None else f"user:{caller.user_id}"
        now = self._clock_us()
        count = self._count(self._violations, owner, now)
        count.times += 1
        if count.times >= rules.violations_max:
            del self._violations[owner]
            self._begin(owner, "limit_violations", count.times, now)

    def is_exempt(self, address: str) -> bool:
        """Whether nothing is counted from there. What is no address is exempt: nobody could be told apart by it."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return True
        mapped = getattr(found, "ipv4_mapped", None) or found
        return any(mapped.version == network.version and mapped in network for network in self._exempt)

    def _count(self, counts: OrderedDict[str, _Count], subject: str, now: int) -> _Count:
        count = counts.get(subject)
        if count is None or now - count.began_us >= self._rules.window_us:
            count = counts[subject] = _Count(now)
        counts.move_to_end(subject)
        _bound(counts)
        return count

    def _begin(self, owner: str, rule: str, count: int, now: int) -> None:
        block = Block(owner, rule, count, now + self._rules.block_us)
        self._keep(block)
        if len(self._unwritten) < SUBJECTS_MAX:
            self._unwritten[owner] = block
        self._on_block(block)

    # Between processes --------------------------------------------------------------------------------------------------

    def heard(self, entry: DirectoryEntry) -> None:
        """An entry of the directory has changed."""
        if entry.kind != BLOCK:
            return
        if entry.body and entry.expires_us > self._clock_us():
            self._keep(_block(entry.owner, orjson.loads(entry.body), entry.expires_us))
        else:
            self.lift(entry.owner)

    def lift(self, owner: str) -> None:
        """Refuse somebody no longer, and count anew."""
        self._blocked.pop(owner, None)
        self._unwritten.pop(owner, None)
        self._violations.pop(owner, None)
        self._failures.pop(owner.removeprefix("ip:"), None)

    async def load(self, directory: Directory) -> None:
        """Read the blocks that stand. Raises: StorageUnavailable."""
        cursor: str | None = None
        while True:
            page = await directory.page(BLOCK, limit=500, cursor=cursor)
            for document in page.rows:
                self._keep(block_of(document))
            cursor = page.next_cursor
            if cursor is None:
                return

    async def write(self, directory: Directory) -> None:
        """Write the blocks that began here with their rows for the audit, so that every process refuses.

        Raises: StorageUnavailable, to be tried again.
        """
        some = dict(list(self._unwritten.items())[:WRITTEN_MAX])
        if not some:
            return
        await directory.put(
            None,
            [putting(BLOCK, owner, owner, block.members(), expires_us=block.until_us) for owner, block in some.items()],
            *(Act(SERVER, "block", owner, block.rule, block.members()).row() for owner, block in some.items()),
        )
        for owner, block in some.items():
            if self._unwritten.get(owner) is block:
                del self._unwritten[owner]

    def _keep(self, block: Block) -> None:
        self._blocked[block.owner] = block
        self._blocked.move_to_end(block.owner)
        _bound(self._blocked)


def _bound(table: OrderedDict[str, Any]) -> None:
    while len(table) > SUBJECTS_MAX:
        table.popitem(last=False)
