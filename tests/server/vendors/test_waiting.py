"""When a client of a vendor shall come back, and when it need not try again."""

import pytest

from methods.errors import InvalidParams, ProviderFailed
from methods.providers.faults import AUTH, BILLING, FORBIDDEN, RATE_LIMITED, UNAVAILABLE, failed
from monetization.errors import Overloaded, PaymentRequired, QuotaExceeded, RateLimited
from server.vendors.headers import of_fault
from server.vendors.tables import SURFACES
from storage.errors import Fault


def told(surface: str, fault: Fault) -> tuple[int, str | None, str | None]:
    """Status, `retry-after` and `x-should-retry`."""
    door = next(door for name, door in SURFACES.items() if name == surface)
    headers = {name.decode(): value.decode() for name, value in of_fault(door, fault, door.status(fault))}
    return door.status(fault), headers.get("retry-after"), headers.get("x-should-retry")


@pytest.mark.parametrize(
    ("fault", "openai", "anthropic"),
    [
        (failed("p", RATE_LIMITED, "limits"), (429, "1", None), (429, "1", None)),
        (failed("p", UNAVAILABLE, "is full"), (503, "1", None), (529, "1", None)),
        (ProviderFailed("x", reason=UNAVAILABLE, retry_after_seconds=7.2), (503, "8", None), (529, "8", None)),
        (
            ProviderFailed("x", reason=RATE_LIMITED, retry_after_seconds=999),
            (429, "999", "false"),
            (429, "999", "false"),
        ),
        (failed("p", BILLING, "wants payment"), (502, None, "false"), (502, None, "false")),
        (failed("p", AUTH, "did not let this server in"), (502, None, "false"), (502, None, "false")),
        (failed("p", FORBIDDEN, "does not do this"), (502, None, "false"), (502, None, "false")),
        (RateLimited("at most 3", retry_after_seconds=20), (429, "20", None), (429, "20", None)),
        (RateLimited("nothing is admitted"), (429, None, "false"), (429, None, "false")),
        (Overloaded("full"), (503, "1", None), (529, "1", None)),
        (QuotaExceeded("used up"), (429, None, "false"), (429, None, "false")),
        (QuotaExceeded("used up", retry_after_seconds=86_400), (429, "86400", "false"), (429, "86400", "false")),
        (PaymentRequired("no money"), (429, None, "false"), (402, None, None)),
        (InvalidParams("no"), (400, None, None), (400, None, None)),
    ],
)
def test_a_busy_door_says_when_to_come_back_and_what_no_wait_mends_is_not_tried_again(
    fault: Fault, openai: tuple[int, str, str], anthropic: tuple[int, str, str]
) -> None:
    assert (told("openai", fault), told("anthropic", fault)) == (openai, anthropic)
    assert told("gemini", fault)[1:] == (openai[1], None)  # its SDKs know no such word
