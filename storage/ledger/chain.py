"""The hash chain: one hash per group commit over its transfers, so that an edit of the past shows."""

import hashlib
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import orjson

# Any: a transfer is hashed as its columns, whose types the table gives.

GENESIS = "0" * 64


def link(previous: str, transfers: Sequence[tuple[Any, ...]]) -> str:
    """The hash of a batch: sha256 over the previous hash and the transfers in id order, as JSON arrays of their columns."""
    ordered = sorted(transfers, key=itemgetter(0))
    return hashlib.sha256(previous.encode() + orjson.dumps(ordered)).hexdigest()
