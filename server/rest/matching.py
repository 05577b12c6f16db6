"""Finds the route of a request among the rows of the table. Built once from the table; nothing is read from a body here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from server.rest.route import Route

_ANY: Final = "{}"
Verbs: TypeAlias = dict[str, Route]


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of one path, by verb, and what stands in the path's slots."""

    routes: Mapping[str, Route]
    values: Sequence[str]

    @property
    def path(self) -> str:
        """The path as the table writes it."""
        return next(iter(self.routes.values())).path

    @property
    def allow(self) -> bytes:
        """What an Allow header says (RFC 9110, section 10.2.1)."""
        verbs = {*self.routes, "OPTIONS"} | ({"HEAD"} if "GET" in self.routes else set())
        return ", ".join(sorted(verbs)).encode()

    def params(self, route: Route) -> dict[str, str]:
        """The slots of a route by their names."""
        return dict(zip(route.slots, self.values, strict=True))


class Matcher:
    """The table by the parts of its paths; a written part goes before a slot."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._tree: dict[tuple[str, ...], Verbs] = {}
        for route in routes:
            parts = tuple(_ANY if part.startswith("{") else part for part in route.path.split("/")[1:])
            verbs = self._tree.setdefault(parts, {})
            assert route.verb not in verbs, f"{route.verb} {route.path} stands in the table twice"
            verbs[route.verb] = route
        self._longest = max((len(parts) for parts in self._tree), default=0)

    def find(self, segments: Sequence[str]) -> Found | None:
        """The rows for these parts; None: no row has such a path. An empty part fills no slot."""
        if len(segments) > self._longest or "" in segments:
            return None
        for parts, verbs in self._tree.items():
            if len(parts) == len(segments) and _fits(parts, segments) and not self._is_written(parts, segments):
                return Found(verbs, [said for part, said in zip(parts, segments, strict=True) if part == _ANY])
        return None

    def _is_written(self, parts: tuple[str, ...], segments: Sequence[str]) -> bool:
        """Whether another row writes out what these parts only have a slot for."""
        return _ANY in parts and tuple(segments) in self._tree


def _fits(parts: Sequence[str], segments: Sequence[str]) -> bool:
    return all(part in (_ANY, said) for part, said in zip(parts, segments, strict=True))
