"""The catalog finds methods by name or alias, refuses clashes and reserved names, and decides who may call."""

import pytest

from methods.all_methods import METHODS
from methods.catalog import Catalog
from methods.errors import MethodNotFound
from methods.method import Access, Method
from methods.system import ping

PING = next(method for method in METHODS if method.name == "ping")


def test_an_unknown_name_is_refused_and_repeated_in_bounds() -> None:
    with pytest.raises(MethodNotFound, match=r"rpc\.discover lists them") as refused:
        Catalog(METHODS).find("x" * 500)
    assert refused.value.data == {"method": "x" * 128}


def test_a_method_is_found_by_its_aliases() -> None:
    catalog = Catalog(METHODS)
    assert catalog.find("ai.generateText") is catalog.find("generateText") is catalog.find("executeAIRequest")


def test_names_are_case_sensitive() -> None:
    with pytest.raises(MethodNotFound):
        Catalog(METHODS).find("Ping")


@pytest.mark.parametrize("name", ["rpc.mine", "$/mine"])
def test_reserved_names_cannot_be_taken(name: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        Catalog([Method(name, ping)])


def test_two_methods_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="used twice"):
        Catalog([PING, PING])


def test_the_configuration_opens_and_closes_methods() -> None:
    catalog = Catalog(METHODS, public=["generateText"], is_auth_required=True)
    assert catalog.access["executeAIRequest"] is Access.PUBLIC
    assert catalog.access["listProviders"] is Access.REQUIRED
    assert Catalog(METHODS).access["listProviders"] is Access.OPTIONAL
