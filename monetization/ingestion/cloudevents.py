"""CloudEvents 1.0 in JSON, structured and binary: from an envelope to the members of an event. Pure; no event is judged here.

Sources: CloudEvents 1.0.2, section 3 (context attributes); its JSON event format, sections 2.2 and 3; HTTP binding, section 3.
The envelope's id and source are the event's identity, `time` is when it happened, `type` names its kind by one of its parts
(`com.example.token_usage`), and `data` is the body that `ingestEvents` takes.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import orjson

from monetization.ingestion.rejecting import Rejected

# Any: an envelope is JSON that nobody has looked at.

SPECVERSION: Final = "specversion"
"""The attribute by which an envelope is known."""
_JSON: Final = re.compile(r"\s*[\w.+-]+/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_PARTS: Final = re.compile(r"[./:#]")
_HEADER: Final = "ce-"
_STRUCTURED: Final = "application/cloudevents"
"""Before the media types of envelopes and of batches of them."""
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_REPLACED: Final = ("event_id", "eventId", "source")
"""What the envelope says in the place of the data."""


def flattened(envelope: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """The members of the event in a structured envelope. `kinds`: what a part of `type`, in upper case, may name.

    Raises: Rejected.
    """
    envelope = {name: value for name, value in envelope.items() if value is not None}  # which stands for no attribute
    if envelope.get(SPECVERSION) != "1.0":
        raise Rejected("invalid_cloudevent", "specversion: only CloudEvents 1.0 are taken")
    for name in ("id", "source", "type"):
        if not isinstance(envelope.get(name), str) or not envelope[name]:
            raise Rejected("invalid_cloudevent", f"{name}: a CloudEvent needs a text here")
    body = {name: value for name, value in _data(envelope).items() if name not in _REPLACED}
    body["event_id"], body["source"] = envelope["id"], envelope["source"]
    kind = next((kinds[part] for part in reversed(_PARTS.split(envelope["type"].upper())) if part in kinds), None)
    if kind is not None:
        body.pop("eventType", None)
        body["event_type"] = kind
    if "time" in envelope:
        body["timestamp"] = envelope["time"]
    if "subject" in envelope and not body.keys() & {"user_id", "userId"}:
        body["user_id"] = envelope["subject"]
    return body


def _data(envelope: Mapping[str, Any]) -> dict[str, Any]:
    content = envelope.get("datacontenttype", "application/json")
    if not isinstance(content, str) or not _JSON.fullmatch(content):
        raise Rejected("invalid_cloudevent", "datacontenttype: the data must be JSON")
    data = envelope.get("data")
    if "data_base64" in envelope:
        try:
            data = orjson.loads(b64decode(envelope["data_base64"], validate=True))
        except (TypeError, ValueError):
            raise Rejected("invalid_cloudevent", "data_base64: must be JSON in base64") from None
    if not isinstance(data, dict):
        raise Rejected("invalid_cloudevent", "data: must be an object with the members of an event")
    return data


def from_binary(headers: Mapping[str, str], data: object) -> dict[str, Any]:
    """The structured envelope of a binary message: `ce-` headers, by their names in lower case, and body. Raises: Rejected."""
    named = {
        name[len(_HEADER) :]: _attribute(name, value) for name, value in headers.items() if name.startswith(_HEADER)
    }
    return {**named, "data": data}


def _attribute(name: str, value: str) -> str:
    """What a header says: without the quotes that earlier versions allowed, then percent-decoded once."""
    quoted = _QUOTED.fullmatch(value)
    try:
        return unquote(value if quoted is None else _ESCAPED.sub(r"\1", quoted[1]), errors="strict")
    except UnicodeDecodeError:  # else two that are broken in different ways would be the same text
        raise Rejected("invalid_cloudevent", f"{name}: must be UTF-8 in percent-encoding") from None


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether a message with these headers, by their names in lower case, carries a CloudEvent in binary mode.

    An envelope may come with the same headers; its media type then says what it is.
    """
    is_structured = headers.get("content-type", "").strip().lower().startswith(_STRUCTURED)
    return _HEADER + SPECVERSION in headers and not is_structured
