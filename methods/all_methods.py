"""Every method there is: the tables of the namespace files, one after the other."""

from typing import Final

from methods import ai, pricing, system, tiers
from methods.method import Method

METHODS: Final[tuple[Method, ...]] = (*ai.METHODS, *pricing.METHODS, *tiers.METHODS, *system.METHODS)
