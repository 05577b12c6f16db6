"""The process bound: metered calls past it are refused, free ones never."""

import pytest

from monetization.admission import Admission
from monetization.callers import Caller
from monetization.errors import Overloaded
from monetization.terms import FREE, Terms

METERED = Terms(is_metered=True)


def test_the_call_past_the_bound_is_refused_and_the_place_comes_back() -> None:
    admission = Admission(calls_max=1)
    caller = Caller("subscription", user_id="u")
    with admission.admit(caller, METERED):
        with pytest.raises(Overloaded) as refused, admission.admit(caller, METERED):
            pass
        assert refused.value.retry_after_seconds == 1
        with admission.admit(caller, FREE):
            assert admission.running == 1
    with admission.admit(caller, METERED):
        assert admission.running == 1
    assert admission.running == 0


def test_a_place_comes_back_when_the_call_fails() -> None:
    admission = Admission(calls_max=1)
    with pytest.raises(KeyError), admission.admit(Caller("anonymous"), METERED):
        raise KeyError
    assert admission.running == 0
