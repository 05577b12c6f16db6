"""What the laws read: the files of the repository and the syntax of its modules. No law is written here."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("server", "methods", "monetization", "billing", "storage")


@dataclass(frozen=True, eq=False)
class Module:
    """One Python file."""

    path: str
    """Relative to the root, with forward slashes."""
    text: str
    tree: ast.Module

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of its syntax; many laws look at all of them."""
        return tuple(ast.walk(self.tree))

    def is_in(self, *places: str) -> bool:
        """Whether it lies in one of these folders or is one of these files; a trailing `*` stands for any ending."""
        return any(
            self.path.startswith(place[:-1])
            if place.endswith("*")
            else self.path == place or self.path.startswith(f"{place}/")
            for place in places
        )

    def imports(self) -> Iterator[tuple[str, int]]:
        """Every module imported anywhere in it, with the line."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module, node.lineno
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@cache
def files() -> tuple[str, ...]:
    """Every file that is, or is about to be, part of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(sorted(line for line in listed.stdout.splitlines() if (ROOT / line).is_file()))


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file of the repository."""
    return tuple(
        Module(path, text := (ROOT / path).read_text(), ast.parse(text, path))
        for path in files()
        if path.endswith(".py")
    )


def product() -> Iterator[Module]:
    """The modules that ship."""
    return (module for module in modules() if module.is_in(*FLOORS))


def told(law: str, broken: list[str]) -> str:
    """The message of a broken law: the law and every place that breaks it."""
    return "\n  ".join([law, *broken])
