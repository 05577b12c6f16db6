"""Commands thrown with dice, a hundred times cheaper than drawn one by one: what the soak's histories are made of."""

from random import Random
from typing import Any

from storage.records.money import NEVER_US
from tests.storage.test_ledger_machine import KINDS, NAMES, OFTEN, RESOURCES, SECOND

INDEXES = 30
"""How far back a command looks for its hold or its charge; most look among the newest, which are still open."""
KEYS = 400
"""Idempotency keys of one history: enough that most are new, few enough that many come again."""
_KINDS = (*KINDS, *OFTEN)


class Dice:
    """Sketches as the strategies of the ledger's machine draw them, but for wider references and keys."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)  # noqa: S311  # no secret

    def batch(self) -> list[tuple[Any, str | None]]:
        """What is sent at once; now and then a crowd."""
        size = self.random.randint(2, 8) if self.random.random() < 0.9 else self.random.randint(9, 40)
        return [(self.sketch(), self._replay()) for _ in range(size)]

    def group(self) -> list[Any]:
        """What is applied whole or not at all."""
        return [self.sketch() for _ in range(self.random.randint(2, 4))]

    def sketch(self) -> tuple[Any, ...]:
        """One command."""
        kind = self.random.choice(_KINDS)
        return (kind, *getattr(self, f"_{kind}")())

    def _replay(self) -> str | None:
        return str(self.random.randrange(KEYS)) if self.random.random() < 0.25 else None

    def _name(self) -> str:
        return self.random.choice(NAMES)

    def _amount(self, least: int = 0, most: int = 40) -> int:
        return self.random.randint(least, most)

    def _after(self) -> int:
        return NEVER_US if self.random.random() < 0.3 else self.random.randint(0, 16) * SECOND

    def _quota(self) -> dict[str, int]:
        return {resource: self._amount(0, 20) for resource in RESOURCES if self.random.random() < 0.4}

    def _index(self) -> int:
        return int(INDEXES * self.random.random() ** 3)

    def _maybe(self, least: int, most: int) -> int | None:
        return self._amount(least, most) if self.random.random() < 0.5 else None

    def _grant(self) -> tuple[Any, ...]:
        reference = self.random.choice((self._amount(100, 103), self._amount(0, 40), self._amount(200, 2000)))
        return self._name(), self._amount(1), self._amount(1, 3), self._after(), reference

    def _hold(self) -> tuple[Any, ...]:
        limits = (20, 90) if self.random.random() < 0.5 else (90, 4000)
        claims = {
            resource: (self._amount(), self._amount(*limits)) for resource in RESOURCES if self._amount(0, 2) == 0
        }
        on_expire = self.random.choice(("post_used", "void"))
        return self._name(), self._amount(), self._after(), claims, self._maybe(0, 15), on_expire

    def _extend(self) -> tuple[Any, ...]:
        return self._index(), self._amount(), None if self.random.random() < 0.5 else self._after()

    def _checkpoint(self) -> tuple[Any, ...]:
        return self._index(), self._amount(), self._quota()

    _settle = _checkpoint

    def _release(self) -> tuple[Any, ...]:
        return (self._index(),)

    _expire = _release

    def _charge(self) -> tuple[Any, ...]:
        return self._name(), self._amount(), self.random.choice(("refuse", "write_off"))

    def _adjust(self) -> tuple[Any, ...]:
        return self._name(), self._amount(1, 20) * self.random.choice((-1, 1))

    def _move(self) -> tuple[Any, ...]:
        return self._name(), self._name(), self._amount(1)

    def _refund_purchase(self) -> tuple[Any, ...]:
        return self.random.choice((self._amount(100, 103), self._amount(0, 40), self._amount(200, 2000))), self._maybe(
            1, 40
        )

    def _refund_charge(self) -> tuple[Any, ...]:
        return self._index(), self._maybe(1, 40)

    def _configure(self) -> tuple[Any, ...]:
        return self._name(), self._amount(0, 15), self.random.choice(("open",) * 7 + ("suspended",))
