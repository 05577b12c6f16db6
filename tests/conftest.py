"""What every test relies on: examples that take as long as they take, and an hour and a day that do not end halfway."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings

ROOM = timedelta(seconds=10)
"""What most tests need between the first look at the clock and the last; those of days and months look twice."""

settings.register_profile("ours", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin no test just before an hour ends: what it writes and what it asks for would belong to two, or to two days."""
    now = datetime.now(UTC)
    left = now.replace(minute=59, second=59, microsecond=999_999) - now
    if left < ROOM:
        time.sleep(left.total_seconds() + 0.01)
