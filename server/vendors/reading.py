"""What a vendor's request says beside its body: its API version, whether it streams, and whom its usage is to be counted for."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import orjson

from methods.errors import InvalidParams
from server.vendors.surface import Endpoint, Surface

VERSIONS: Final = ("2023-06-01", "2026-10-21")
"""Anthropic's API versions (the vendor's versioning page); a request that names none is of the older one."""
LABELS_MAX: Final = 16
_LABEL_CHARS_MAX: Final = 256
_NAME_CHARS_MAX: Final = 64
_FEATURE_CHARS_MAX: Final = 128
_ATTRIBUTED: Final = ((b"x-om-customer-id", "customerId"), (b"x-om-user-id", "userId"))


def headers_of(lines: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """What stands in each header: the values of all its lines as one list (RFC 9110, 5.3), each once.

    So two credentials, or two ids, that differ become one that nobody has.
    """
    found = dict(lines)
    if len(found) == len(lines):  # nearly always
        return found
    values: dict[bytes, dict[bytes, None]] = {name: {} for name in found}
    for name, value in lines:
        values[name][value] = None
    return {name: b", ".join(each) for name, each in values.items()}


def version_of(surface: Surface, headers: Mapping[bytes, bytes], slots: Mapping[str, str]) -> dict[str, object]:
    """The API version, and what else goes along to a vendor of the same language. Raises: InvalidParams."""
    if surface.name == "gemini":
        return {"version": slots.get("version", "v1")}
    if surface.name != "anthropic":
        return {}
    version = headers.get(b"anthropic-version", VERSIONS[0].encode()).decode("latin-1")
    if version not in VERSIONS:
        served = " and ".join(VERSIONS)
        raise InvalidParams(
            f"anthropic-version: {version[:40]!r} is not served; {served} are", data={"field": "version"}
        )
    said: dict[str, object] = {"version": version}
    beta = headers.get(b"anthropic-beta")
    if beta is not None and beta.isascii():
        said["headers"] = {"anthropic-beta": beta.decode("ascii")}
    return said


def is_streamed(endpoint: Endpoint, body: Mapping[str, object], query: bytes) -> bool:
    """Whether the answer is read as it arrives. Raises: InvalidParams."""
    if endpoint.stream is None:
        return body.get(endpoint.flag) is True
    if endpoint.stream and _alt(query) not in ("sse", "json"):
        raise InvalidParams("alt: a stream is sent as events (sse) or as an array (json)", data={"field": "alt"})
    return endpoint.stream


def is_array(endpoint: Endpoint, query: bytes) -> bool:
    """Whether a stream is told as one JSON array: what Google does unless it is asked for events."""
    return endpoint.stream is True and _alt(query) != "sse"


def _alt(query: bytes) -> str:
    said = dict(parse_qsl(query.decode("latin-1")))
    return said.get("alt", said.get("$alt", "json")).lower()


def attribution(headers: Mapping[bytes, bytes]) -> dict[str, object]:
    """Feature and labels of a call's usage (OpenMonetize's headers). They never choose who pays. Raises: InvalidParams."""
    found: dict[str, object] = {}
    labels: dict[str, str] = {}
    feature = headers.get(b"x-om-feature-id")
    if feature is not None:
        found["featureId"] = _text("X-OM-Feature-Id", feature, _FEATURE_CHARS_MAX)
    if b"x-om-metadata" in headers:
        labels |= _labels(headers[b"x-om-metadata"])
    for header, name in _ATTRIBUTED:
        if header in headers:
            labels[name] = _text(header.decode(), headers[header], _LABEL_CHARS_MAX)
    if labels:
        found["metadata"] = labels
    return found


def _text(header: str, value: bytes, most: int) -> str:
    text = value.strip().decode("utf-8", "replace")
    if not text or len(text) > most:
        raise InvalidParams(f"{header}: must hold 1 to {most} characters", data={"field": header})
    return text


def _labels(value: bytes) -> dict[str, str]:
    header = "X-OM-Metadata"
    try:
        said = orjson.loads(value)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or len(said) > LABELS_MAX:
        raise InvalidParams(f"{header}: must be a JSON object of at most {LABELS_MAX} members", data={"field": header})
    labels: dict[str, str] = {}
    for name, member in said.items():
        text = member if isinstance(member, str) else orjson.dumps(member).decode()
        if not name or len(name) > _NAME_CHARS_MAX or len(text) > _LABEL_CHARS_MAX:
            raise InvalidParams(
                f"{header}: a name may have {_NAME_CHARS_MAX} characters, a value {_LABEL_CHARS_MAX}",
                data={"field": header},
            )
        labels[name] = text
    return labels
