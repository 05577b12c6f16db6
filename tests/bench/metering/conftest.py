"""A PostgreSQL for the benchmark's own test."""

from tests.journeys.money.conftest import postgres

__all__ = ["postgres"]  # a fixture
