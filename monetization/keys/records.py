"""A gateway key as it is kept: who it acts for, what it may do, until when. Reading and writing the entry's body; no secrets."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Final, Literal

from monetization.callers import Budget
from monetization.directory import Document
from storage.records.fact import fact
from storage.records.money import NEVER_US

# Any: a body is JSON that `body_of` has written.

API_KEY: Final = "api_key"
"""Owner `key:ID`, key ID."""
API_KEY_OF: Final = "api_key_of"
"""Says whose a key is, so that their keys are found: owner `user:ID`, or `org:ID` of one that is an organization's alone; key
the ID. It is never changed, only deleted."""
KEPT_US: Final = 30 * 24 * 3600 * 1_000_000
"""How long a key that was revoked or has expired can still be seen in lists."""

Status = Literal["active", "expired", "revoked"]


@fact
class KeyTerms:
    """What its maker says of a key."""

    label: str = ""
    scopes: tuple[str, ...] | None = None
    """None: whatever its owner's role allows. Empty: nothing but what is public."""
    models: tuple[str, ...] = ()
    """Patterns as in tiers. Empty: every model of the tier."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Some of rpm, tpm, concurrent: over all calls with the key."""
    budgets: tuple[Budget, ...] = ()
    expires_us: int = NEVER_US


@fact
class KeyHolder:
    """For whom a key acts. Tier, features and organization are those of the credential with which it was made."""

    user_id: str | None
    """None: for the organization alone."""
    organization_id: str | None = None
    email: str | None = None
    tier: str | None = None
    """Holds until a subscription is stored for the user. None: the default tier."""
    features: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        """As the directory names it."""
        if self.user_id is not None:
            return f"user:{self.user_id}"
        assert self.organization_id is not None, "a key is a user's or an organization's"
        return f"org:{self.organization_id}"


@fact
class KeyRecord:
    """One key."""

    id: str
    hash: str = field(repr=False)
    holder: KeyHolder
    terms: KeyTerms
    created_us: int
    created_by: str
    previous_hash: str | None = field(default=None, repr=False)
    """Of the secret before the last rotation."""
    previous_until_us: int = 0
    """Until then it is accepted too."""
    rotated_us: int | None = None
    revoked_us: int | None = None
    version: int = 0
    """What a change must expect."""

    def status(self, now_us: int) -> Status:
        """Whether it can be used."""
        if self.revoked_us is not None:
            return "revoked"
        return "active" if now_us < self.terms.expires_us else "expired"

    @property
    def kept_until_us(self) -> int:
        """When it disappears from lists."""
        ends = min(self.terms.expires_us, self.revoked_us if self.revoked_us is not None else NEVER_US)
        return NEVER_US if ends == NEVER_US else ends + KEPT_US


def owner_of(key_id: str) -> str:
    """The directory's owner of a key's entry."""
    return f"key:{key_id}"


def body_of(record: KeyRecord) -> dict[str, object]:
    """The entry's body."""
    holder, terms = record.holder, record.terms
    body: dict[str, object] = {
        "hash": record.hash,
        "userId": holder.user_id,
        "organizationId": holder.organization_id,
        "email": holder.email,
        "tier": holder.tier,
        "features": list(holder.features),
        "label": terms.label,
        "scopes": None if terms.scopes is None else list(terms.scopes),
        "models": list(terms.models),
        "limits": dict(terms.limits),
        "budgets": [{"resource": b.resource, "limit": b.limit, "period": b.period} for b in terms.budgets],
        "expiresUs": None if terms.expires_us == NEVER_US else terms.expires_us,
        "createdUs": record.created_us,
        "createdBy": record.created_by,
        "previousHash": record.previous_hash,
        "previousUntilUs": record.previous_until_us or None,
        "rotatedUs": record.rotated_us,
        "revokedUs": record.revoked_us,
    }
    # Scopes that are none at all stay: left out, they would mean all that the owner's role allows.
    return {name: value for name, value in body.items() if value is not None and (value != [] or name == "scopes")}


def record_of(document: Document) -> KeyRecord:
    """The key of an entry."""
    body = document.body
    return KeyRecord(
        id=document.key,
        hash=body["hash"],
        holder=KeyHolder(
            body.get("userId"),
            body.get("organizationId"),
            body.get("email"),
            body.get("tier"),
            tuple(body.get("features", ())),
        ),
        terms=_terms_of(body),
        created_us=body["createdUs"],
        created_by=body["createdBy"],
        previous_hash=body.get("previousHash"),
        previous_until_us=body.get("previousUntilUs", 0),
        rotated_us=body.get("rotatedUs"),
        revoked_us=body.get("revokedUs"),
        version=document.version,
    )


def _terms_of(body: Mapping[str, Any]) -> KeyTerms:
    scopes = body.get("scopes")
    return KeyTerms(
        label=body.get("label", ""),
        scopes=None if scopes is None else tuple(scopes),
        models=tuple(body.get("models", ())),
        limits=body.get("limits", {}),
        budgets=tuple(Budget(found["resource"], found["limit"], found["period"]) for found in body.get("budgets", ())),
        expires_us=body.get("expiresUs", NEVER_US),
    )


def rotated(record: KeyRecord, new_hash: str, *, now_us: int, overlap_us: int) -> KeyRecord:
    """The key with a new secret; the one it had is accepted for a while longer, the one before that not any more."""
    return replace(
        record,
        hash=new_hash,
        previous_hash=record.hash if overlap_us else None,
        previous_until_us=now_us + overlap_us if overlap_us else 0,
        rotated_us=now_us,
    )
