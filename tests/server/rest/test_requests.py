"""From a request's own words to parameters: casings, instants of a query, and a message in the words that were used."""

import pytest

from server.rest.requests import params_from
from server.rest.route import Route, camel_of

ROUTE = Route(verb="GET", path="/v1/x/{userId}", method="x", renamed={"purchasePrice": "pricePaid", "jobIds": "ids"})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("input_tokens", "inputTokens"),
        ("last_7_days", "last7Days"),
        ("inputTokens", "inputTokens"),
        ("__class__", "__class__"),
        ("user__id", "user__id"),
        ("_user_id", "_user_id"),
        ("", ""),
    ],
)
def test_only_well_made_snake_case_is_another_word_for_camel_case(said: str, meant: str) -> None:
    assert camel_of(said) == meant


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        (b"at=2026-11-01T00:00:00+01:00", "2026-11-01T00:00:00+01:00"),
        (b"at=2026-11-01T00:00:00%2B01:00", "2026-11-01T00:00:00+01:00"),
        (b"at=on+2026-11-01T00:00:00+01:00", "on 2026-11-01T00:00:00 01:00"),
        (b"at=a+b", "a b"),
    ],
)
def test_an_instant_keeps_its_plus_although_a_query_makes_it_a_space(query: bytes, meant: str) -> None:
    assert params_from(ROUTE, {"at": frozenset({"string"})}, path={"userId": "u"}, query=query)["at"] == meant


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("pricePaid: must be above zero", "purchasePrice: must be above zero"),
        ("ids.0: Input should be a string", "jobIds.0: Input should be a string"),
        ("ids", "jobIds"),
        ("userId: the ids are wrong", "userId: the ids are wrong"),
    ],
)
def test_a_message_names_members_as_the_request_did(message: str, told: str) -> None:
    assert ROUTE.spoken(message) == told
