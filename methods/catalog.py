"""The full list of methods, found by name or alias."""

from collections.abc import Iterable, Mapping
from typing import Final

from methods.errors import MethodNotFound
from methods.method import Access, Method
from monetization.calls import DoorName

VENDOR_DOORS: Final[frozenset[DoorName]] = frozenset({"openai", "anthropic", "gemini"})


class Catalog:
    """Every method there is. Built once; names and aliases are unique, and `rpc.` is the specification's own."""

    def __init__(
        self,
        methods: Iterable[Method],
        *,
        public: Iterable[str] = (),
        is_auth_required: bool = False,
        of_doors: Iterable[Method] = (),
    ) -> None:
        """`of_doors` are called by the vendors' doors alone: whoever names one over JSON-RPC finds nothing."""
        self.methods = tuple(methods)
        self._of_doors = {method.name: method for method in of_doors}
        self._by_name: dict[str, Method] = {}
        for method in self.methods:
            for name in (method.name, *method.aliases):
                if name in self._by_name:
                    raise ValueError(f"method name {name!r} is used twice")
                if name.startswith(("rpc.", "$/")) and name != "rpc.discover":
                    # JSON-RPC 2.0, section 8: names that begin with "rpc." are reserved for system extensions.
                    raise ValueError(f"method name {name!r} is reserved")
                self._by_name[name] = method
        public_names = frozenset(public)
        unknown = sorted(public_names - self._by_name.keys())
        if unknown:
            raise ValueError(f"public_methods names no method: {', '.join(unknown)}")
        public_methods = frozenset(self._by_name[name].name for name in public_names)
        self.access: Mapping[str, Access] = {name: method.access for name, method in self._of_doors.items()} | {
            method.name: (
                Access.PUBLIC
                if method.name in public_methods
                else Access.REQUIRED
                if is_auth_required
                else method.access
            )
            for method in self.methods
        }

    def find(self, name: str, door: DoorName = "rpc") -> Method:
        """The method that a door asks for. Raises: MethodNotFound."""
        method = self._by_name.get(name)
        if method is None and door in VENDOR_DOORS:
            method = self._of_doors.get(name)
        if method is None:
            raise MethodNotFound(
                f"there is no method {name[:128]!r}; rpc.discover lists them", data={"method": name[:128]}
            )
        return method
