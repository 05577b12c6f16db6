"""`tollgate doctor`: what is configured, secrets masked, and what can be reached. It changes nothing and sends no request."""

import asyncio
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from monetization.prices.book import PriceBook
    from server.config import Settings

_TIMEOUT_SECONDS = 2.0
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "redis": 6379, "rediss": 6379}
_TLS = frozenset({"https", "rediss"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    name: str
    shown: str
    problem: str | None = None
    """None: well."""

    def line(self) -> str:
        """As printed."""
        mark = "ok  " if self.problem is None else "FAIL"
        return f"{mark}  {self.name:<24} {self.shown}" + (f": {self.problem}" if self.problem else "")


def examine(settings: "Settings") -> tuple[list[str], bool]:
    """The report, and whether everything configured can be reached. Raises: ConfigError for what would not start."""
    from server.describe import catalog_of  # noqa: PLC0415  # the methods are only needed once the file is read
    from server.from_settings import gates_of, price_sources_of, tiers_of  # noqa: PLC0415  # same

    gates_of(settings, catalog_of(settings), tiers_of(settings))
    price_sources_of(settings)
    findings = asyncio.run(_findings(settings))
    return [finding.line() for finding in findings], all(finding.problem is None for finding in findings)


async def _findings(settings: "Settings") -> list[Finding]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_reached(name, url, note)) for name, url, note in _addresses(settings)]
    reached = [task.result() for task in tasks]
    head = [_server(settings), _auth(settings), _keys(settings)]
    rules = [*_tiers(settings), *_routing(settings), *_limits(settings)]
    return [*head, *_database(settings), *reached, *_keyless(settings), *_agents(settings), *rules]


def _agents(settings: "Settings") -> list[Finding]:
    """Where agents find their door, and whether its package is there."""
    if not settings.mcp.enabled:
        return []
    from server.config_mcp import PATH  # noqa: PLC0415  # see above
    from server.mcp.opening import missing  # noqa: PLC0415  # same

    return [Finding("mcp", f"{settings.server.public_url}{PATH}", missing())]


def _limits(settings: "Settings") -> list[Finding]:
    """What multiplies limits; that is told and is no failure."""
    workers = settings.server.workers
    if workers == 1 or settings.storage.redis_url.get_secret_value():
        return []
    what = f"each of {workers} workers counts for itself and admits as much as the limits say; set storage.redis_url"
    return [Finding("warning", f"limits: {what}")]


def _tiers(settings: "Settings") -> list[Finding]:
    """The tiers, and what is allowed but probably not meant; that is told and is no failure."""
    from monetization.tier_checks import warnings  # noqa: PLC0415  # see above
    from server.from_settings import model_costs_of, tiers_of  # noqa: PLC0415  # same

    tiers, book = tiers_of(settings), _book(settings)
    costs = model_costs_of(settings, lambda: book, _now_us)
    told = [
        Finding("warning", warning) for warning in warnings(tiers, providers=tuple(settings.providers), costs=costs)
    ]
    return [Finding("tiers", f"{', '.join(tiers.by_key)}; default {tiers.default.key}"), *told]


def _routing(settings: "Settings") -> list[Finding]:
    """What is served under other names, and what of it has no price: a call that it may serve is refused until it has one."""
    from monetization.terms import Target  # noqa: PLC0415  # see above
    from server.from_settings import routing_of  # noqa: PLC0415  # same

    routing, found, book = routing_of(settings), [], _book(settings)
    for key, name in routing.named():
        provider, _, model = name.partition("/")
        if not book.knows(Target(provider, model, settings.providers[provider].kind), _now_us()):
            found.append(
                Finding("warning", f"{key}: no price is known for {name}; add it to [prices], or set it with setPrice")
            )
    if not routing.aliases and not routing.equivalents and not routing.substitutes:
        return found
    told = f"{len(routing.aliases)} alias(es), {len(routing.equivalents)} group(s) of equivalent models"
    return [Finding("routing", f"{told}, substitutes for {len(routing.substitutes)} tier(s)"), *found]


def _book(settings: "Settings") -> "PriceBook":
    """The prices of the file and the built-in ones; those that admins set lie in the database, which is not opened here."""
    from monetization.prices.book import PriceBook  # noqa: PLC0415  # see above
    from server.from_settings import ceiling_of, price_sources_of  # noqa: PLC0415  # same

    return PriceBook(price_sources_of(settings), ceiling=ceiling_of(settings))


def _now_us() -> int:
    return time.time_ns() // 1_000


def _server(settings: "Settings") -> Finding:
    server = settings.server
    return Finding("server", f"{server.host}:{server.port}, {server.workers} worker(s), seen as {server.public_url}")


def _auth(settings: "Settings") -> Finding:
    auth = settings.auth
    kinds = [name for name in ("public_key", "jwks_url", "secret", "private_key") if getattr(auth, name) is not None]
    shown = f"{', '.join(kinds)} ({', '.join(auth.algorithms)}), issuer {auth.issuer}" if kinds else "no tokens"
    return Finding("auth", f"{shown}; anonymous callers: {auth.anonymous}")


def _keys(settings: "Settings") -> Finding:
    issued = "issues gateway keys" if settings.keys.secret is not None else "issues none (keys.secret)"
    count = len(settings.keys.encryption_keys)
    kept = f"keeps provider keys under {count} sealing key(s)" if count else "keeps none (keys.encryption_keys)"
    return Finding("keys", f"{issued}; {kept}")


def _database(settings: "Settings") -> list[Finding]:
    """The embedded database's place; a server elsewhere is among the addresses."""
    if not settings.storage.is_sqlite:
        return []
    path = Path(settings.storage.url.get_secret_value().removeprefix("sqlite:///").partition("?")[0]).absolute()
    folder = path.parent
    problem = None
    if not folder.is_dir():
        problem = "its folder does not exist; create it"
    elif not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        problem = "cannot be written; correct its owner or mode"
    elif path.exists():
        from storage.sql.sqlite.reading import schema_problem  # noqa: PLC0415  # only where there is a file

        problem = schema_problem(str(path))
    return [Finding("database", f"sqlite {path}", problem)]


def _addresses(settings: "Settings") -> list[tuple[str, str, str]]:
    """Name, URL and a note on everything that lives elsewhere."""
    found = []
    if not settings.storage.is_sqlite:
        found.append(("database", settings.storage.url.get_secret_value(), ""))
    if settings.storage.redis_url.get_secret_value():
        found.append(("redis", settings.storage.redis_url.get_secret_value(), ""))
    if settings.auth.jwks_url is not None:
        found.append(("auth.jwks_url", settings.auth.jwks_url, ""))
    found.extend(
        (f"providers.{name}", provider.base_url, "key ***" if provider.api_key else "no key: callers bring their own")
        for name, provider in settings.providers.items()
        if provider.kind != "simulator"
    )
    if settings.webhooks.url:
        found.append(("webhooks", settings.webhooks.url, ""))
    return found


def _keyless(settings: "Settings") -> list[Finding]:
    return [
        Finding(f"providers.{name}", "simulator, needs no key")
        for name, provider in settings.providers.items()
        if provider.kind == "simulator"
    ]


async def _reached(name: str, url: str, note: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return _socket(name, parts.path)
    host = parts.hostname or "localhost"
    try:
        port = parts.port or _PORTS[parts.scheme]
        problem = await _connect_problem(host, port, is_tls=parts.scheme in _TLS)
        if problem is None and name == "redis":
            problem = await _redis_problem(url)
    except ValueError:
        port, problem = 0, "the port is no number"
    # Only host and port are shown: a URL may hold a user, a password, or a key in its query.
    return Finding(name, f"{parts.scheme} {host}:{port}" + (f", {note}" if note else ""), problem)


def _socket(name: str, path: str) -> Finding:
    return Finding(name, f"unix {path}", None if Path(path).is_socket() else "there is no such socket; check the path")


async def _redis_problem(url: str) -> str | None:
    """What keeps what listens there from counting limits."""
    from storage.ephemeral.opening import probe  # noqa: PLC0415  # only where limits live elsewhere

    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await probe(url)
    except (OSError, TimeoutError):
        return f"it takes connections and does not answer within {_TIMEOUT_SECONDS:g} s; check what listens there"


async def _connect_problem(host: str, port: int, *, is_tls: bool) -> str | None:
    """What stands in the way of a connection; None when it stood."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            context = ssl.create_default_context() if is_tls else None
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except TimeoutError:
        return f"no answer within {_TIMEOUT_SECONDS:g} s; check address and firewall"
    except ssl.SSLError as wrong:
        return f"TLS failed ({(wrong.reason or 'unknown').lower().replace('_', ' ')}); check certificate and clock"
    except OSError as wrong:
        return f"not reachable ({(wrong.strerror or type(wrong).__name__).lower()}); check address and service"
    writer.close()
    return None
