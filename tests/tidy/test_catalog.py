"""What every method owes its callers: words, an example and a place in the document."""

import inspect

from methods.all_methods import METHODS
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
