"""A provider behind HTTP: a dialect, a base URL and a credential over the shared session. No retries, no money.

Where a request goes is the operator's choice alone: nothing that a caller sends can change the origin or leave the base path,
redirects are not followed, and a caller's own key goes to the one configured address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from methods.deadlines import Deadlines
from methods.dialects.base import Dialect, Original, Untranslatable
from methods.dialects.canonical import ChatReply, ChatRequest, JsonObject, VendorError
from methods.dialects.canonical_once import EmbedReply, Operation
from methods.dialects.crossing import crossed, is_tellable
from methods.dialects.once import AnyOnce, Once
from methods.errors import InvalidParams, Unauthenticated
from methods.providers import faults
from methods.providers.base import Ask
from methods.providers.exchange import Exchange, Exchanges, beginning_of
from methods.providers.http_stream import HttpStream
from monetization.callers import Secret
from storage.errors import Fault

REPLY_BYTES_MAX: Final = 16 * 1024 * 1024
STREAM_BYTES_MAX: Final = 256 * 1024 * 1024
_URLS_KEPT: Final = 256
_LOST: Final = (aiohttp.ClientError, TimeoutError, OSError)
_OK: Final = 200
_CREDENTIALS: Final = frozenset({"api-key", "authorization", "x-api-key", "x-goog-api-key"})
"""Headers of the operator's that open a vendor's door whatever key stands beside them."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds in seconds."""

    connect: float = 5.0
    """Name look-up, TCP and TLS together."""
    first_byte: float = 60.0
    """Of a stream: until its first event, and between two pieces later. A whole answer is only bounded by `total`, since its
    first byte comes when all of it is written."""
    total: float = 120.0
    """The whole exchange."""


class HttpProvider:
    """Implements `methods.providers.base.Provider` for one configured vendor.

    `also` are other dialects that the vendor speaks at the same address, for clients who speak them; `once` are those of what it
    does besides chats.
    `session` is shared by all providers. `key` is the operator's; None: callers bring their own, or (`needs_key=False`) the
    server asks for none. `headers` go with every request. `models_path` is where the vendor lists models, for `check_key`.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        dialect: Dialect,
        base_url: str,
        *,
        also: Sequence[Dialect] = (),
        once: Mapping[Operation, AnyOnce] | None = None,
        session: aiohttp.ClientSession,
        key: Secret | None = None,
        needs_key: bool = True,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        models_path: str = "/models",
        reply_bytes_max: int = REPLY_BYTES_MAX,
        stream_bytes_max: int = STREAM_BYTES_MAX,
    ) -> None:
        self.name = name
        self.kind = kind
        self.dialect = dialect
        self._once = dict(once or {})
        self._spoken = {spoken.name: spoken for spoken in (dialect, *also)}
        self.timeouts = timeouts or Timeouts()
        self.reply_bytes_max = reply_bytes_max
        self.stream_bytes_max = stream_bytes_max
        self._base = URL(base_url.rstrip("/"))
        self._base_url = base_url.rstrip("/")
        self._session = session
        self._key = key
        self._needs_key = needs_key
        self._models_path = models_path
        self._urls: dict[str, URL] = {}
        self._extra = dict(headers or {})
        self._secrets = (*(() if key is None else (key.reveal(),)), *self._extra.values())
        self._operator_key = "" if key is None else key.reveal()
        self._operator_headers: dict[Dialect, CIMultiDict[str]] = {}
        bounds = self.timeouts
        self._deadlines = Deadlines(bounds.total)
        self._exchanges = Exchanges(session, connect_seconds=bounds.connect)
        self._whole = aiohttp.ClientTimeout(total=bounds.total, connect=bounds.connect)
        self._piecewise = aiohttp.ClientTimeout(total=bounds.total, connect=bounds.connect, sock_read=bounds.first_byte)

    def has_operator_key(self) -> bool:
        """Whether it can be asked without a caller's key."""
        return self._key is not None or not self._needs_key

    async def complete(self, ask: Ask) -> ChatReply:
        """The whole answer. Raises: what `Provider` says."""
        if ask.once is not None:
            return await self._complete_once(ask, ask.once)
        request = ask.request
        if request.is_stream:
            request = replace(request, is_stream=False)
        body = await self._fetch(ask, *self._said(ask, request))
        reply: ChatReply = self._reply(ask, self.dialect_for(ask), body)
        if self.same(ask) is not None:
            return replace(reply, raw=body)
        return reply if is_tellable(reply) else self.raise_unreadable()

    async def _complete_once(self, ask: Ask, once: Once) -> ChatReply:
        """Vectors, or a count. Raises: what `Provider` says; InvalidParams for what the vendor does not do."""
        mine = self._once.get(once.operation)
        if mine is None:
            raise faults.unsupported(self.name, once.operation)
        try:
            path, sent = once.said(mine, ask.request.model)
        except Untranslatable as why:
            raise faults.untranslatable(self.name, why) from None
        same = once.original if mine.name == once.dialect.name else None
        body = await self._fetch(ask, self._url(path), sent, self._headers(ask, same))
        found = self._reply(ask, mine, body)
        is_embedding = isinstance(found, EmbedReply)
        return ChatReply(
            model=(found.model if is_embedding else "") or ask.request.model,
            parts=(),
            finish_reason="stop",
            usage=found.usage if is_embedding else None,
            raw=None if same is None else body,
            once=found,
        )

    async def _fetch(self, ask: Ask, url: URL, sent: bytes, headers: CIMultiDict[str]) -> bytes:
        """Send a body and read a whole one. Raises: what `Provider` says."""
        response: Exchange | None = None
        try:
            with self._deadlines.bound():
                response = await self._exchanges.post(url, headers, sent)
                if response.status != _OK:
                    raise await self._refusal(ask, response)
                body = await self._whole_body(response)
        except _LOST as lost:
            self.raise_lost(lost, faults.DISCONNECTED if response is None else faults.CUT)
        finally:
            if response is not None:
                response.end()
        if "json" not in response.headers.get("content-type", "").lower():
            raise faults.failed(self.name, faults.MALFORMED, "answered with something that is not JSON")
        return body

    def stream(self, ask: Ask) -> HttpStream:
        """The answer as it arrives. Entering waits for the first event, so that all that fails early fails there."""
        return HttpStream(self, ask)

    async def check_key(self, key: Secret) -> bool:
        """Whether the vendor takes this key: its list of models is read. Raises: ProviderFailed, ProviderTimedOut."""
        ask = Ask(ChatRequest(model="", messages=()), request_id="", own_key=key)
        try:
            async with self._session.get(
                self._url(self._models_path),
                headers=self._headers_with(self.dialect, key.reveal()),
                timeout=self._whole,
                allow_redirects=False,
            ) as response:
                if response.status == _OK:
                    response.close()
                    return True
                fault = await self._refusal(ask, response)
        except _LOST as lost:
            self.raise_lost(lost, faults.DISCONNECTED)
        if isinstance(fault, Unauthenticated):
            return False
        if isinstance(fault, InvalidParams):
            raise faults.failed(self.name, faults.REJECTED, "did not understand the check of a key") from None
        raise fault

    async def open(self, ask: Ask) -> aiohttp.ClientResponse:
        """Send a request for a stream and wait for its status. Raises: what `Provider` says."""
        try:
            request = ask.request if ask.request.is_stream else replace(ask.request, is_stream=True)
            url, sent, headers = self._said(ask, request)
            response = await self._session.post(
                url, data=sent, headers=headers, timeout=self._piecewise, allow_redirects=False
            )
        except _LOST as lost:
            self.raise_lost(lost, faults.DISCONNECTED)
        try:
            fault = await self._no_stream(ask, response)
        except BaseException as lost:
            response.close()
            if isinstance(lost, _LOST):
                self.raise_lost(lost, faults.CUT)
            raise
        if fault is not None:
            response.close()
            raise fault
        return response

    def raise_vendor_error(self, ask: Ask, error: VendorError) -> NoReturn:
        """Raise the fault that stands for a vendor's error."""
        raise self._fault_of(ask, error)

    def raise_unreadable(self) -> NoReturn:
        """Raise the fault that stands for an answer which makes no sense without what nobody can read of it."""
        raise faults.failed(self.name, faults.MALFORMED, "answered with a part that nobody here can read")

    def raise_lost(self, lost: BaseException, reason: str) -> NoReturn:
        """Raise the fault that stands for a broken or silent connection; `reason` is the one for a plain break."""
        bounds = self.timeouts
        match lost:
            case aiohttp.ConnectionTimeoutError():
                fault: Fault = faults.timed_out(
                    self.name, faults.CONNECT_TIMEOUT, "could not be reached", bounds.connect
                )
            case aiohttp.SocketTimeoutError():
                slow = faults.STALLED if reason == faults.CUT else faults.FIRST_BYTE_TIMEOUT
                fault = faults.timed_out(self.name, slow, "sent nothing", bounds.first_byte)
            case TimeoutError():
                fault = faults.timed_out(self.name, faults.TIMEOUT, "did not finish", bounds.total)
            case aiohttp.ClientConnectorError() | aiohttp.ClientConnectorDNSError():
                fault = faults.failed(self.name, faults.UNREACHABLE, "could not be reached")
            case aiohttp.ClientResponseError():
                fault = faults.failed(self.name, faults.MALFORMED, "answered with something that is not HTTP")
            case _ if reason == faults.CUT:
                fault = faults.failed(self.name, reason, "broke off in the middle of its answer")
            case _:
                fault = faults.failed(self.name, reason, "closed the connection without an answer")
        # The cause may name addresses and headers; it stays for the debugger and is never shown to a caller.
        raise fault from lost

    def _said(self, ask: Ask, request: ChatRequest) -> tuple[URL, bytes, CIMultiDict[str]]:
        """The request as the vendor is told it. Raises: InvalidParams, Unauthenticated."""
        same = self.same(ask)
        try:
            if same is None:
                body = orjson.dumps(self._translated(ask, request))
                path = self.dialect.path(request)
            else:
                body = self._amended(same, request)
                path = same.dialect.path(request)
        except Untranslatable as why:
            raise faults.untranslatable(self.name, why) from None
        return self._url(path), body, self._headers(ask, same)

    def same(self, ask: Ask) -> Original | None:
        """What the client wrote, if this vendor understands it as it is."""
        original = ask.original
        return original if original is not None and original.dialect.name in self._spoken else None

    def dialect_for(self, ask: Ask) -> Dialect:
        """The language in which this ask is put."""
        original = ask.original
        return self.dialect if original is None else self._spoken.get(original.dialect.name, self.dialect)

    def _translated(self, ask: Ask, request: ChatRequest) -> JsonObject:
        """The body in this vendor's language. Raises: Untranslatable."""
        lost = () if ask.original is None else ask.original.dialect.untranslatable(request)
        return crossed(lost, request, lambda: self.dialect.render_request(request))

    def _amended(self, original: Original, request: ChatRequest) -> bytes:
        """The client's own body; its own bytes where nothing had to be set in it."""
        body = self._spoken[original.dialect.name].amended(original.body, request)
        return original.text if body is original.body and original.text is not None else orjson.dumps(body)

    def _url(self, path: str) -> URL:
        """The address of a path below the base URL, and never any other one."""
        url = self._urls.get(path)
        if url is None:
            url = URL(self._base_url + path)
            if url.origin() != self._base.origin() or not url.path.startswith(self._base.path.rstrip("/") + "/"):
                raise InvalidParams("the model's name does not fit into an address", reason="unknown_model")
            if len(self._urls) >= _URLS_KEPT:
                self._urls.clear()
            self._urls[path] = url
        return url

    def _headers_with(self, dialect: Dialect, key: str) -> CIMultiDict[str]:
        return CIMultiDict(
            {
                "content-type": "application/json",
                "accept": "application/json, text/event-stream",
                # Compression would hold back the small pieces of a stream.
                "accept-encoding": "identity",
                "user-agent": "tollgate",
                **self._extra,
                **dialect.headers(key),
            }
        )

    def _headers(self, ask: Ask, same: Original | None) -> CIMultiDict[str]:
        dialect = self.dialect if same is None else same.dialect
        if ask.own_key is not None:
            self._refuse_unread()
            headers = self._headers_with(dialect, ask.own_key.reveal())
        elif self.has_operator_key():
            headers = self._of_operator(dialect).copy()
        else:
            raise Unauthenticated(
                f"provider {self.name!r} is only served with your own key; send it as apiKey",
                reason=faults.OWN_KEY_REQUIRED,
                data={"provider": self.name},
            )
        headers["x-request-id"] = ask.request_id
        if ask.traceparent is not None:
            headers["traceparent"] = ask.traceparent
        if same is not None:
            headers.update(same.headers)
        return headers

    def _refuse_unread(self) -> None:
        """Refuse a caller's own key where nothing depends on it: any word would do, and the operator would pay.

        Raises: InvalidParams.
        """
        is_read = (self._key is not None or self._needs_key) and _CREDENTIALS.isdisjoint(map(str.lower, self._extra))
        if not is_read:
            raise InvalidParams(
                f"provider {self.name!r} is served without your own key; leave it out",
                reason="own_key_unread",
                data={"provider": self.name},
            )

    def _of_operator(self, dialect: Dialect) -> CIMultiDict[str]:
        headers = self._operator_headers.get(dialect)
        if headers is None:  # as many as there are dialects and versions of them
            headers = self._operator_headers[dialect] = self._headers_with(dialect, self._operator_key)
        return headers

    async def _whole_body(self, response: Exchange) -> bytes:
        """The body, bounded: at once where the vendor said its size, else piece by piece."""
        size = response.headers.get("content-length")  # a number: the parser takes nothing else
        if size is not None and int(size) > self.reply_bytes_max:
            raise self._too_large()
        if size is not None and "content-encoding" not in response.headers:
            return await response.read()
        pieces = bytearray()
        while piece := await response.content.readany():
            pieces += piece
            if len(pieces) > self.reply_bytes_max:
                raise self._too_large()
        return bytes(pieces)

    def _too_large(self) -> Fault:
        return faults.failed(self.name, faults.TOO_LARGE, f"answered with more than {self.reply_bytes_max} bytes")

    def _reply(self, ask: Ask, dialect: Dialect | AnyOnce, body: bytes) -> Any:  # what the dialect's own replies are
        try:
            return dialect.parse_reply(orjson.loads(body))
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            error = faults.error_in(self.dialect_for(ask), body)
            if error is not None:
                raise self._fault_of(ask, error) from wrong
            raise faults.failed(self.name, faults.MALFORMED, "answered with something that is no reply") from wrong

    async def _no_stream(self, ask: Ask, response: aiohttp.ClientResponse) -> Fault | None:
        """Why this reply is not a stream. None: it is one."""
        if response.status != _OK:
            return await self._refusal(ask, response)
        if response.headers.get("content-type", "").lstrip().lower().startswith("text/event-stream"):
            return None
        error = faults.error_in(self.dialect_for(ask), await beginning_of(response.content))
        if error is not None:
            return self._fault_of(ask, error)
        return faults.failed(self.name, faults.MALFORMED, "answered a stream with something that is none")

    async def _refusal(self, ask: Ask, response: aiohttp.ClientResponse | Exchange) -> Fault:
        """The fault for any status but 200."""
        status = response.status
        if status < 400:  # noqa: PLR2004  # HTTP: errors begin here
            reason = faults.REDIRECTED if status >= 300 else faults.MALFORMED  # noqa: PLR2004  # HTTP: redirects
            return faults.failed(self.name, reason, f"answered with status {status}", status=status)
        error = self.dialect_for(ask).parse_error(status, await beginning_of(response.content), response.headers)
        return self._fault_of(ask, error)

    def _fault_of(self, ask: Ask, error: VendorError) -> Fault:
        own = () if ask.own_key is None else (ask.own_key.reveal(),)
        return faults.fault_of(
            error,
            provider=self.name,
            model=ask.request.model,
            is_own_key=ask.own_key is not None,
            secrets=(*own, *self._secrets),
            is_private=ask.is_private,
        )
