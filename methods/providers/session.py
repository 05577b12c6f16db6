"""The one HTTP session that all providers share. Nothing about any vendor."""

import ssl

import aiohttp


def open_session(
    *, limit_per_host: int = 0, keepalive_seconds: float = 15.0, dns_seconds: int = 300
) -> aiohttp.ClientSession:
    """A session for the running event loop; the caller closes it.

    `limit_per_host` bounds the sockets to one host (0: no bound here, each provider has its own cap). The TLS context is
    made once, no cookie is kept, and no proxy or password is taken from the environment.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=limit_per_host,
        keepalive_timeout=keepalive_seconds,
        ttl_dns_cache=dns_seconds,
        ssl=ssl.create_default_context(),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        raise_for_status=False,
        timeout=aiohttp.ClientTimeout(total=120, connect=5),
    )
