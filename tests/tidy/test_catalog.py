"""What every method owes its callers: words, an example and a place in the document."""

import inspect
from typing import get_args

from methods.all_methods import METHODS
from monetization.roles import EVERY, IN_ORGANIZATION, SCOPES, Scope
from server.config import Settings
from server.describe import openrpc_document
from tests.tidy.tree import told

NO_EXAMPLE = {"rpc.discover": "its answer is the document itself, which an example inside it would repeat"}


def test_every_method_says_what_it_does() -> None:
    silent = [method.name for method in METHODS if not inspect.getdoc(method.handler)]
    assert not silent, told("a handler's docstring is the method's description in the OpenRPC document", silent)


def test_every_method_shows_an_example() -> None:
    bare = [method.name for method in METHODS if not method.examples and method.name not in NO_EXAMPLE]
    assert not bare, told("an example in the document is what a client tries first", bare)


def test_every_method_and_alias_is_in_the_document_of_a_server() -> None:
    shown = {entry["name"] for entry in openrpc_document(Settings())["methods"]}
    missing = [name for method in METHODS for name in (method.name, *method.aliases) if name not in shown]
    assert not missing, told("what can be called is described", missing)


def test_every_method_declares_its_scope_and_the_scopes_that_are_declared_exist() -> None:
    bare = [method.name for method in METHODS if method.scope not in EVERY]
    assert not bare, told(
        "a method without a scope is refused to everybody; monetization/roles.py lists the scopes", bare
    )


def test_every_scope_is_in_the_set_of_all() -> None:
    assert set(get_args(Scope)) == EVERY, "monetization/roles.py names its scopes in two places, which must agree"


def test_every_scope_is_given_by_some_role_below_the_highest() -> None:
    given = frozenset[str]().union(
        *(SCOPES[role] for role in SCOPES if role != "super-admin"), *IN_ORGANIZATION.values()
    )
    assert given == EVERY, told("a scope that no role gives guards nothing that anybody can do", sorted(EVERY - given))
