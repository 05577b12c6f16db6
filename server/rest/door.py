"""The one door of the REST facades: a request becomes the call that its row of the table names."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import orjson
from starlette.types import Receive, Scope, Send

from methods.catalog import Catalog
from methods.deadlines import Deadlines
from methods.errors import InvalidParams
from methods.method import to_wire
from monetization.calls import Call
from server.errors import headers_of
from server.jsonrpc_parse import Malformed, parse
from server.plain_http import NO_CONTENT, Means, nothing
from server.rate_headers import rate_headers
from server.rest.answers import INTERNAL, error_of, rest_status_of
from server.rest.matching import Found, Matcher
from server.rest.requests import params_from, segments_of, types_of
from server.rest.route import BODIED, Family, Route
from server.rpc_calls import idempotency_key_from_wire, traceparent_from_wire
from server.rpc_reading import Left, Refused, Sender, check_media, credential_from, read_body
from server.whole_replies import offered
from storage.errors import Fault

Headers: TypeAlias = list[tuple[bytes, bytes]]
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"x-om-api-key", b"x-tollgate-key"})
_UNREADABLE: Final = 400
_NOT_FOUND: Final = 404
PREFIXES: Final = ("/v1/{rest:path}", "/api/credits/{rest:path}")
"""What of the app's paths comes here, after every door that has a path of its own."""


class RestDoor:
    """The door as an ASGI app."""

    def __init__(self, means: Means, *, routes: Sequence[Route], catalog: Catalog) -> None:
        self._means = means
        self._reading = Deadlines(means.limits.read_timeout_seconds)
        served = [route for route in routes if not route.has_own_door]
        self._matcher = Matcher(served)
        self._methods = {route.method: catalog.find(route.method) for route in served}
        self._types: dict[str, Mapping[str, frozenset[str]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        request_id = self._means.request_id(scope)
        out = Sender(send, offered(scope))
        family: Family = "credits" if scope["path"].startswith("/api/credits") else "openmonetize"
        try:
            found = self._find(scope)
            if scope["method"] == "OPTIONS":
                await nothing(send, [(b"allow", found.allow)])
                return
            route = _routed(scope, found)
            headers, body = await self._read(scope, receive, route)
        except Refused as refused:
            shown = error_of(family, refused.reason, refused.detail, request_id)
            await out.refuse(refused, request_id, receive, shown)
            return
        except Left:
            return
        status, answer, more = await self._answer(scope, route, found, headers, body, request_id)
        await (nothing(send, more) if status == NO_CONTENT else out.json(answer, status, more))

    def _types_of(self, method: str) -> Mapping[str, frozenset[str]]:
        """Worked out when a method is first asked for: all of them at the start would take a tenth of it, and 4 MB."""
        found = self._types.get(method)
        if found is None:
            found = self._types[method] = types_of(self._methods[method])
        return found

    def _find(self, scope: Scope) -> Found:
        """The rows for the request's path. Raises: Refused with 404."""
        segments = segments_of(scope.get("raw_path") or scope["path"].encode())
        found = None if segments is None else self._matcher.find(segments)
        if found is None:
            raise Refused(_NOT_FOUND, "not_found", "There is no such endpoint; /openapi.json lists them.")
        scope["route"] = found  # so that requests are counted by the table's path and not by what somebody wrote
        return found

    async def _read(self, scope: Scope, receive: Receive, route: Route) -> tuple[dict[bytes, bytes], bytes]:
        """Headers and body; a request without a body needs none of its headers. Raises: Refused, Left."""
        if self._means.is_draining():
            raise Refused.draining(self._means.limits.retry_after_seconds)
        headers = dict(scope["headers"])
        is_empty = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
        if route.verb not in BODIED or is_empty:
            return headers, b""
        return check_media(scope, self._means.limits), await read_body(receive, self._means.limits, self._reading)

    async def _answer(
        self, scope: Scope, route: Route, found: Found, headers: dict[bytes, bytes], body: bytes, request_id: str
    ) -> tuple[int, bytes, Headers]:
        """Status, body and headers. The one broad net of this door is here."""
        call: Call | None = None
        family = route.family
        try:
            call = self._call(scope, route, found, headers, body, request_id)
            result = to_wire(await self._means.serve(call, None))
            shown = b"" if route.status == NO_CONTENT else orjson.dumps(route.shape.show(orjson.loads(result)))
        except Malformed as wrong:
            return _UNREADABLE, error_of(family, wrong.reason, wrong.detail, request_id), []
        except Fault as fault:
            more = headers_of(fault) + ([] if call is None else rate_headers(call.standings))
            said, details = _told(route, fault)
            return rest_status_of(fault), error_of(family, fault.slug, said, request_id, details), more
        except Exception as problem:  # noqa: BLE001  # as the docstring says
            self._means.crashed(problem, request_id)
            return INTERNAL, error_of(family, "internal_error", "Internal error", request_id), []
        return route.status, shown, rate_headers(call.standings)

    def _call(
        self, scope: Scope, route: Route, found: Found, headers: dict[bytes, bytes], body: bytes, request_id: str
    ) -> Call:
        """The call that a request asks for. Raises: Malformed, InvalidParams."""
        if sum(name in _CREDENTIALS for name, _ in scope["headers"]) > len(_CREDENTIALS & headers.keys()):
            raise Malformed(-32600, "two_credentials", "Send one credential; a header with one is there twice.")
        if b"x-api-key" in headers:  # as OpenMonetize's clients show their key
            headers.setdefault(b"x-om-api-key", headers[b"x-api-key"])
        trace = headers.get(b"traceparent")
        params = params_from(
            route,
            self._types_of(route.method),
            path=found.params(route),
            query=scope.get("query_string", b""),
            body=self._members(body),
            idempotency_key=_key(headers),
        )
        return Call(
            route.method,
            params,
            credential_from(scope, headers),
            request_id,
            "rest",
            traceparent=None if trace is None else traceparent_from_wire(trace.decode("latin-1")),
            started=self._means.monotonic(),
        )

    def _members(self, body: bytes) -> Mapping[str, object] | None:
        if not body:
            return None
        no_object = Malformed(-32600, "invalid_request", "The body must be a JSON object.")
        if body.lstrip()[:1] == b"[":
            raise no_object
        said = parse(body, depth_max=self._means.limits.depth_max, batch_max=self._means.limits.batch_max)
        if not isinstance(said, dict):
            raise no_object
        return said


def _routed(scope: Scope, found: Found) -> Route:
    """The row for the request's verb. Raises: Refused with 405."""
    verb = "GET" if scope["method"] == "HEAD" else scope["method"]
    route = found.routes.get(verb)
    if route is None:
        allow = found.allow
        raise Refused(405, "method_not_allowed", f"Send one of {allow.decode()}.", (b"allow", allow))
    return route


def _told(route: Route, fault: Fault) -> tuple[str, Mapping[str, object]]:
    """Message and details of a fault; what is wrong with parameters is said in the names that the request used."""
    if not isinstance(fault, InvalidParams):
        return str(fault), fault.data
    problems = fault.data.get("errors")
    if not isinstance(problems, list):
        return route.spoken(str(fault)), fault.data
    told = [{**problem, "path": route.spoken(problem["path"])} for problem in problems]
    return route.spoken(str(fault)), {**fault.data, "errors": told}


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    said = headers.get(b"idempotency-key")
    key = None if said is None else idempotency_key_from_wire(said.decode("latin-1"))
    if said is not None and key is None:
        detail = "the header Idempotency-Key must hold 1 to 255 visible ASCII characters, bare or in double quotes"
        raise InvalidParams(detail, reason="invalid_idempotency_key")
    return key
