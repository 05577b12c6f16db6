"""How PostgreSQL is reached: what `storage.url` may say, one connection, and why one was refused. No statements of ours."""

import ssl
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from storage.errors import StoreRefused

# Any: asyncpg ships no types.

Connection: TypeAlias = Any

CONNECT_SECONDS = 3.0
"""A call refused soon is worth more than one that hangs."""
COMMAND_SECONDS = 10.0
CLOSE_SECONDS = 2.0
READERS = 4


@dataclass(frozen=True, slots=True)
class Address:
    """A database and how this process uses it."""

    dsn: str
    """As the driver takes it. It holds the password: never shown."""
    readers: int = READERS
    """Connections that only read. One more writes."""
    statement_cache_size: int = 100
    """0 behind a PgBouncer before 1.21, or one without `max_prepared_statements`, that pools by transaction."""
    command_seconds: float | None = COMMAND_SECONDS
    """How long one statement may take. None: as long as it needs."""

    @property
    def is_pooled(self) -> bool:
        """True when a statement and its parameters only reach the same server inside one transaction."""
        return self.statement_cache_size == 0


def address_of(url: str) -> Address:
    """Parse `postgresql://user:password@host/database?readers=4&statement_cache_size=100`; the driver gets the other options.

    Raises: StoreRefused.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    readers = _number(options, "readers", READERS, at_least=1)
    cache = _number(options, "statement_cache_size", 100, at_least=0)
    dsn = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(options), ""))
    return Address(dsn, readers, cache)


def _number(options: dict[str, str], name: str, default: int, *, at_least: int) -> int:
    text = options.pop(name, str(default))
    if not text.isdecimal() or not at_least <= int(text) <= 1000:  # noqa: PLR2004  # a bound
        raise StoreRefused(f"storage.url: {name}={text!r} is not a number from {at_least} to 1000")
    return int(text)


def driver() -> Any:
    """The asyncpg module. Raises: StoreRefused when it is not installed."""
    try:
        import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415  # only where PostgreSQL is configured
    except ImportError as missing:
        raise StoreRefused(
            "storage.url: PostgreSQL needs asyncpg; install the extra, in this project's folder: pip install -e '.[postgres]'"
        ) from missing
    return asyncpg


def connect_options(address: Address) -> dict[str, Any]:
    """What every connection is opened with. Nothing here is session state that a transaction pooler would lose."""
    return {
        "dsn": address.dsn,
        "timeout": CONNECT_SECONDS,
        "command_timeout": address.command_seconds,
        "statement_cache_size": address.statement_cache_size,
        "server_settings": {"application_name": "tollgate"},
    }


async def connect(address: Address) -> Connection:
    """Open one connection. Raises: what `unreachable` names, and the driver's refusals."""
    return await driver().connect(**connect_options(address))


async def close(connection: Connection) -> None:
    """Take leave of the server, or go without it when it does not answer."""
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except (OSError, TimeoutError):
        connection.terminate()


async def connect_first(address: Address) -> Connection:
    """Open the first connection of a start. Raises: StoreRefused in one line without the password."""
    try:
        return await connect(address)
    except (OSError, TimeoutError, ssl.SSLError) as failed:
        raise StoreRefused(
            f"storage.url: PostgreSQL cannot be reached ({type(failed).__name__}); is it running there?"
        ) from failed
    except Exception as failed:
        if is_driver_error(failed):
            (line, *_) = str(failed).splitlines() or [type(failed).__name__]
            raise StoreRefused(f"storage.url: PostgreSQL refused the connection ({line})") from failed
        raise


def is_driver_error(error: BaseException) -> bool:
    """True for whatever the driver or the server complains about."""
    asyncpg = driver()
    return isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError)


def sqlstate(error: BaseException) -> str:
    """The server's five letters for what went wrong; empty when the server did not say. Source: PostgreSQL, appendix A."""
    return str(getattr(error, "sqlstate", None) or "")
