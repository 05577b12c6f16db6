"""Every fault has a number, a status and a test."""

import importlib
import pkgutil
from collections.abc import Iterator

from methods.errors import CODES, code_of
from storage.errors import Fault
from tests.tidy.tree import FLOORS, modules, told


def load_floors() -> None:
    for floor in FLOORS:
        package = importlib.import_module(floor)
        for found in pkgutil.walk_packages(package.__path__, f"{floor}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)


def faults(kind: type[Fault] = Fault) -> Iterator[type[Fault]]:
    for child in kind.__subclasses__():
        if child.__module__.split(".")[0] in FLOORS:
            yield child
            yield from faults(child)


def test_every_fault_has_a_number_a_reason_and_a_test() -> None:
    load_floors()
    known = sorted(set(faults()), key=lambda fault: fault.__qualname__)
    assert known
    unnumbered = [f.__qualname__ for f in known if not any(kind in CODES for kind in f.__mro__)]
    assert not unnumbered, told("every fault has a number in methods/errors.CODES, of its own or inherited", unnumbered)
    vague = [f.__qualname__ for f in known if "reason" not in vars(f) and f.__mro__[1] is Fault]
    assert not vague, told("clients switch on the reason, so every fault has a stable one", vague)
    tests = "\n".join(module.text for module in modules() if module.is_in("tests"))
    untested = [f.__qualname__ for f in known if f.__name__ not in tests]
    assert not untested, told("every fault is raised in some test", untested)


def test_every_fault_has_an_http_status() -> None:
    load_floors()
    doors = importlib.import_module("server.errors")
    tables = [table for table in vars(doors).values() if isinstance(table, dict)]
    keys = {key for table in tables for key in table}
    without = [f.__qualname__ for f in set(faults()) if not (keys & set(f.__mro__) or code_of(f()) in keys)]
    assert not without, told("every fault has a status in the table of server/errors.py", without)
