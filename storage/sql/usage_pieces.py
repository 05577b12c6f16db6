"""Ranges of time taken apart into what sums are kept of: whole grains, and pieces of hours that only rows answer. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from storage.records.reports import EDGES_MAX
from storage.sql.rollups import LENGTHS_US

Piece: TypeAlias = tuple[int, int, int]
"""From (included), to (not), and the start of the bucket that it belongs to."""
ROWS: Final = -1
"""In the place of a grain: no sums, the rows themselves."""


def check_edges(edges_us: Sequence[int]) -> None:
    """Our own callers ask for a bounded number of buckets."""
    assert 2 <= len(edges_us) <= EDGES_MAX, f"{len(edges_us)} edges; from 2 to {EDGES_MAX} are answered"  # noqa: PLR2004  # one bucket
    assert all(a < b for a, b in pairwise(edges_us)), "the edges rise"


def pieces_of(edges_us: Sequence[int], grains: Mapping[int, int]) -> dict[int, list[Piece]]:
    """The buckets taken apart into these grains, which rise, the longest first; what is left are pieces of `ROWS`.

    Of each grain: up to when there are sums.
    """
    found: dict[int, list[Piece]] = {grain: [] for grain in (ROWS, *grains)}
    for start, end in pairwise(edges_us):
        _divide(found, (start, end, start), tuple(grains.items()))
    return found


def _divide(found: dict[int, list[Piece]], piece: Piece, grains: Sequence[tuple[int, int]]) -> None:
    """The whole grains of a piece; what lies before and behind them goes to the shorter ones."""
    lo, hi, start = piece
    if not grains:
        found[ROWS].append(piece)
        return
    *shorter, (grain, until_us) = grains
    length_us = LENGTHS_US[grain]
    first, last = -(-lo // length_us) * length_us, min(hi, until_us) // length_us * length_us
    if first >= last:
        _divide(found, piece, shorter)
        return
    found[grain].append((first, last, start))
    for a, b in ((lo, first), (last, hi)):
        if a < b:
            _divide(found, (a, b, start), shorter)


def regular(pieces: Sequence[Piece]) -> Piece | None:
    """All pieces as one, where each begins as the one before ends and is as long: then one look at a series answers for all."""
    length, (first, _, start) = length_of(pieces[0]), pieces[0]
    for number, (lo, hi, label) in enumerate(pieces):
        if lo != first + number * length or hi != lo + length or label - lo != start - first:
            return None
    return first, pieces[-1][1], start


def length_of(piece: Piece) -> int:
    """How long it is."""
    return piece[1] - piece[0]


def by_rows(pieces: dict[int, list[Piece]], hour: int, kept_us: int) -> None:
    """For all users at once: rows answer for the hours too, which are less than two days, where rows are still kept.

    In the sums of hours every combination that any user ever had would be looked at, most of them in vain.
    """
    pieces[ROWS] = sorted(pieces[ROWS] + [piece for piece in pieces[hour] if piece[0] >= kept_us])
    pieces[hour] = [piece for piece in pieces[hour] if piece[0] < kept_us]
