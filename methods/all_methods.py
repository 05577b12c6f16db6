"""Every method there is: the tables of the namespace files, one after the other."""

from collections.abc import Iterable
from typing import Final

from methods import ai, system
from methods.method import Method

METHODS: Final[tuple[Method, ...]] = (*ai.METHODS, *system.METHODS)

ANNOUNCED: Final = frozenset({"getProviderPricing", "getTierDetails", "listTiers"})
"""Names that the documented configuration calls public and that have no method yet; naming one is no mistake."""


def public_names(configured: Iterable[str]) -> tuple[str, ...]:
    """The configured public names for `Catalog(public=...)`, without those that are only announced."""
    known = {name for method in METHODS for name in (method.name, *method.aliases)}
    return tuple([name for name in configured if name in known or name not in ANNOUNCED])
