"""CloudEvents 1.0 in JSON, structured and binary: from an envelope to the members of an event. Pure; no event is judged here.

Sources: CloudEvents 1.0.2, section 3 (context attributes); its JSON event format, section 3; its HTTP binding, section 3.1.
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
_REPLACED: Final = ("event_id", "eventId", "source")
"""What the envelope says in the place of the data."""


def flattened(envelope: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """The members of the event in a structured envelope. `kinds`: what a part of `type`, in upper case, may name.

    Raises: Rejected.
    """
    if envelope[SPECVERSION] != "1.0":
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
    """The structured envelope of a binary message: `ce-` headers, percent-encoded, by their names in lower case, and its body."""
    named = {name[len(_HEADER) :]: unquote(value) for name, value in headers.items() if name.startswith(_HEADER)}
    return {**named, "data": data}


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether a message with these headers, by their names in lower case, carries a CloudEvent in binary mode."""
    return _HEADER + SPECVERSION in headers
