"""How the proof of usage is cut: some users of a tenant at a time, or some days of one who has more than fit."""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from storage.records.money import NEVER_US
from storage.sql.books import Books, Rows, compared
from storage.sql.rollups import DAY_US, HOUR, OF_USER
from storage.sql.usage_questions import Dialect


@dataclass(frozen=True, slots=True)
class Range:
    """Some users of one tenant by their ids, and whole days. Without any bound: everybody, ever."""

    tenant: str
    is_nobody: bool = False
    """True: what is nobody's, and no user."""
    only: str | None = None
    """This user alone."""
    after: str | None = None
    """Users behind this one."""
    until: str | None = None
    """Users up to this one."""
    before: str | None = None
    """Users up to this one, and not itself."""
    since_us: int = 0
    until_us: int = NEVER_US

    def condition(self, dialect: Dialect, alias: str, time: str) -> tuple[str, list[object]]:
        """What a row must be like to be in the range, and the values of that condition."""
        values: list[object] = [self.tenant]
        terms = [f"{alias}.tenant={dialect.mark(1)}", f"{alias}.user_id IS {'' if self.is_nobody else 'NOT '}NULL"]
        for sign, user in (("=", self.only), (">", self.after), ("<=", self.until), ("<", self.before)):
            if user is not None:
                values.append(user)
                terms.append(f"{alias}.user_id{sign}{dialect.mark(len(values))}")
        if self.since_us:
            terms.append(f"{time}>={self.since_us}")
        if self.until_us != NEVER_US:
            terms.append(f"{time}<{self.until_us}")
        return " AND ".join(terms), values


def ranges(books: Books) -> list[Range]:
    """Ranges that cover everybody whom the database knows now, and whoever comes between them later."""
    used = (
        "SELECT s.user_id, sum(t.requests), min(t.start_us), max(t.start_us) FROM usage_series s "
        f"CROSS JOIN usage_slot t WHERE t.series=s.id AND s.tenant={books.dialect.mark(1)} AND s.level={OF_USER} "
        f"AND t.grain={HOUR} GROUP BY s.user_id ORDER BY s.user_id"
    )
    return [some for tenant in _tenants(books) for some in _of(tenant, books(used, tenant), compared(books))]


def _tenants(books: Books) -> list[str]:
    """Every tenant that has rows or sums, found by looking for the next one."""
    found: set[str] = set()
    for table in ("usage", "usage_series"):
        ((tenant,),) = books(f"SELECT min(tenant) FROM {table}")
        while tenant is not None:
            found.add(tenant)
            ((tenant,),) = books(f"SELECT min(tenant) FROM {table} WHERE tenant>{books.dialect.mark(1)}", tenant)
    return sorted(found)


def _of(tenant: str, users: Rows, most: int) -> Iterator[Range]:
    """The ranges of one tenant, whose users come in the order of their ids with what they used."""
    nobody, after, rows = [Range(tenant, is_nobody=True)], None, 0
    for user, requests, first_us, last_us in users:
        if user is None:
            nobody = _days(nobody[0], -(-int(requests) // most), first_us, last_us)
        elif requests > most:
            yield Range(tenant, after=after, before=user)
            yield from _days(Range(tenant, only=user), -(-int(requests) // most), first_us, last_us)
            after, rows = user, 0
        else:
            rows += int(requests)
            if rows > most:
                yield Range(tenant, after=after, until=user)
                after, rows = user, 0
    yield Range(tenant, after=after)
    yield from nobody


def _days(whole: Range, count: int, first_us: int, last_us: int) -> list[Range]:
    """The same range as so many, each some whole days."""
    first, last = first_us // DAY_US, last_us // DAY_US
    days = -(-(last - first + 1) // max(1, count))
    edges = [0, *(day * DAY_US for day in range(first + days, last + 1, days)), NEVER_US]
    return [replace(whole, since_us=since, until_us=until) for since, until in pairwise(edges)]
