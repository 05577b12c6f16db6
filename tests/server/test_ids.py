"""Ids in bulk: each is given out once, and rows are named in the order of time."""

from server.ids import request_ids, row_ids


def test_no_id_is_given_out_twice_however_many_are_drawn_at_once() -> None:
    request, row = request_ids(), row_ids(lambda: 1_700_000_000.0)
    assert len({request() for _ in range(2000)}) == 2000
    assert len({row() for _ in range(2000)}) == 2000


def test_a_request_id_is_a_prefix_and_32_digits() -> None:
    prefix, _, digits = request_ids()().partition("_")
    assert prefix == "req"
    assert len(digits) == 32
    assert int(digits, 16) >= 0


def test_ids_of_rows_are_32_digits_that_sort_by_time() -> None:
    now = [1_700_000_000.0]
    row = row_ids(lambda: now[0])
    made = []
    for _ in range(600):
        made.append(row())
        now[0] += 0.01
    assert made == sorted(made)
    assert {len(each) for each in made} == {32}
    assert int(made[0][:12], 16) == 1_700_000_000_000
