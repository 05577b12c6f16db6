"""A made-up history of usage: who used what when, a day at a time, as usage rows. No database.

Sessions of a few calls by users of whom few do most, over thirteen months that end now. The same numbers give the same history.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from storage.records.usage import Outcome, Usage, UsageRow

DAYS = 395
USERS_PER_ROW = 1 / 500
SESSION_CALLS = 5
DAY_US = 86_400_000_000
_SESSION_US = 1_500_000_000
_MODELS = (
    ("anthropic", "claude-sonnet-4-5", 30), ("anthropic", "claude-haiku-4-5", 20), ("openai", "gpt-5", 15),
    ("openai", "gpt-5-mini", 15), ("openai", "gpt-4o", 5), ("google", "gemini-2.5-pro", 5), ("google", "gemini-2.5-flash", 10),
)  # fmt: skip
_TIERS = ("free", "starter", "professional", "enterprise")
_TIER_WEIGHTS = (70, 20, 9, 1)
_FEATURES = ("chat", "review", "tests", None)
_OWN_KEYS_PERCENT = 5
_FAILED_PERCENT = 2


@dataclass(frozen=True, slots=True)
class History:
    """So many rows until an instant."""

    rows: int
    until_us: int

    @property
    def users(self) -> int:
        """How many users there are."""
        return max(10, int(self.rows * USERS_PER_ROW))

    def days(self) -> Iterator[list[UsageRow]]:
        """The rows of each day, the oldest day first, in the order of their times."""
        dice = random.Random(2026)  # noqa: S311  # a benchmark keeps no secret
        weights = list(accumulate(1 / (number + 10) for number in range(self.users)))
        users, made = range(self.users), 0
        for day in range(DAYS):
            wanted = self.rows * (day + 1) // DAYS - made
            since_us = self.until_us - (DAYS - day) * DAY_US
            people = dice.choices(users, cum_weights=weights, k=-(-wanted // SESSION_CALLS))
            found = [row for user in people for row in _session(dice, user, since_us)][:wanted]
            found.sort(key=lambda row: row.occurred_us)
            made += len(found)
            yield found


def name_of(user: int) -> str:
    """The id of a user; number 0 used most."""
    return f"user-{user}"


def tier_of(user: int) -> str:
    """The tier of a user, the same over all time."""
    return random.Random(user).choices(_TIERS, _TIER_WEIGHTS)[0]  # noqa: S311  # as above


def _session(dice: random.Random, user: int, since_us: int) -> Iterator[UsageRow]:
    provider, model, _ = dice.choices(_MODELS, [weight for *_, weight in _MODELS])[0]
    feature, is_own = dice.choice(_FEATURES), dice.randrange(100) < _OWN_KEYS_PERCENT
    begin_us = since_us + dice.randrange(DAY_US - _SESSION_US)
    tier, organization = tier_of(user), f"org-{user % 997}" if user % 3 == 0 else None
    for _ in range(SESSION_CALLS):
        has_failed = dice.randrange(100) < _FAILED_PERCENT
        outcome: Outcome = "failed" if has_failed else "done"
        usage = Usage() if has_failed else Usage(input=dice.randrange(50, 4_000), output=dice.randrange(20, 1_000))
        latency_us = dice.randrange(300_000, 9_000_000)
        number = dice.getrandbits(96)
        yield UsageRow(
            id=f"{number:024x}",
            request_id=f"req_{number:024x}",
            occurred_us=begin_us + dice.randrange(_SESSION_US),
            user_id=name_of(user),
            organization_id=organization,
            caller_kind="byok" if is_own else "subscription",
            tier=tier,
            method="executeAIRequest",
            door="rpc",
            provider=provider,
            model=model,
            outcome=outcome,
            usage=usage,
            latency_us=latency_us,
            first_byte_us=None if has_failed else latency_us // 4,
            is_stream=True,
            feature=feature,
            price_version="bench-1",
            cost_nano=usage.input * 3_000 + usage.output * 15_000,
            fee_nano=(usage.input * 3_000 + usage.output * 15_000) // 5,
        )
