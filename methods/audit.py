"""What admins see and end: `listAuditEvents` (who did what), `listBlocks`, `unblock` (who is refused for abuse)."""

from typing import Annotated, Any, Final  # Any: what was done is JSON of many shapes

import orjson
from pydantic import Field

from methods.context import Context
from methods.errors import Forbidden
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Cursor, Limit, Reason, actor_of
from monetization.abuse import BLOCK, Block, block_of
from monetization.directory import Act, putting
from monetization.periods import iso
from storage.errors import InvalidCursor, NotFound, VersionChanged
from storage.records.kept import KeptRow

Subject = Annotated[str, Field(min_length=1, max_length=250)]


class AuditParams(Params):
    """Which acts."""

    subject: Subject | None = None
    """Those that concern one subject, written as in the answers. Absent: all."""
    limit: Limit = 50
    cursor: Cursor | None = None


class AuditEvent(Result):
    """One act of somebody who may act on others."""

    id: str
    at: str
    actor: str
    """A user's id, or the name of an operator's tool."""
    action: str
    subject: str
    """Whom or what it concerned: `user:ID`, `org:ID`, `key:ID`, `ip:ADDRESS`, `transfer:ID`, `price:MODEL`, `burn_table:ID`."""
    reason: str
    details: dict[str, Any]


class AuditResult(Result):
    """Acts, the newest first."""

    events: list[AuditEvent]
    next_cursor: str | None = None


class BlocksParams(Params):
    """Which page."""

    limit: Limit = 50
    cursor: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None


class BlockResult(Result):
    """Somebody who is refused until an instant."""

    subject: str
    """`user:ID` or `ip:ADDRESS`; an IPv6 network by its first 64 bits."""
    rule: str
    """`failed_credentials` or `limit_violations`."""
    count: int
    """How many of them there were."""
    until: str


class BlocksResult(Result):
    """Blocks in the order of their subjects."""

    blocks: list[BlockResult]
    next_cursor: str | None = None


class UnblockParams(Params):
    """Whose block ends."""

    subject: Subject
    """As `listBlocks` shows it."""
    reason: Reason | None = None


class UnblockResult(Result):
    """The block that was ended; within a second no process refuses for it."""

    success: bool = True
    subject: str


async def list_audit_events(context: Context, params: AuditParams) -> AuditResult:
    """Who did what to whom, in pages: every administrative act, written in the commit of what it did."""
    statements = context.services.money.statements
    page = await statements.audit(params.subject, limit=params.limit, cursor=params.cursor)
    return AuditResult(events=[_event(row) for row in page.rows], next_cursor=page.next_cursor)


async def list_blocks(context: Context, params: BlocksParams) -> BlocksResult:
    """Who is blocked now, why, and until when."""
    page = await context.services.directory.page(BLOCK, limit=params.limit, cursor=params.cursor)
    return BlocksResult(blocks=[_shown(block_of(found)) for found in page.rows], next_cursor=page.next_cursor)


async def unblock(context: Context, params: UnblockParams) -> UnblockResult:
    """End a block; whoever goes on as before is blocked again."""
    directory, owner = context.services.directory, params.subject
    found = await directory.entry(BLOCK, owner)
    if found is None:
        raise NotFound("there is no such block now; listBlocks names those that there are")
    act = Act(actor_of(context), "unblock", owner, params.reason or "", block_of(found).members())
    await directory.put(act, [putting(BLOCK, owner, owner, None, expect=found.version)])
    return UnblockResult(subject=owner)


def _event(row: KeptRow) -> AuditEvent:
    said = orjson.loads(row.body)
    action = str(said.pop("action", ""))
    return AuditEvent(
        id=f"audit-{row.id}",
        at=iso(row.created_us),
        actor=row.actor,
        action=action,
        subject=row.key,
        reason=row.reason,
        details=said,
    )


def _shown(block: Block) -> BlockResult:
    return BlockResult(subject=block.owner, rule=block.rule, count=block.count, until=iso(block.until_us))


_BLOCK: Final = {
    "subject": "ip:192.0.2.7",
    "rule": "failed_credentials",
    "count": 20,
    "until": "2026-11-01T09:15:00Z",
}

METHODS = (
    Method(
        "listAuditEvents",
        list_audit_events,
        scope="audit:read",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidCursor),
        examples=(
            Example(
                "what was done to one user",
                {"subject": "user:u1", "limit": 10},
                {
                    "events": [
                        {
                            "id": "audit-12",
                            "at": "2026-11-01T09:00:00Z",
                            "actor": "boss",
                            "action": "setLimits",
                            "subject": "user:u1",
                            "reason": "asked for",
                            "details": {"limits": {"rpm": 600}},
                        }
                    ]
                },
            ),
        ),
    ),
    Method(
        "listBlocks",
        list_blocks,
        scope="blocks:write",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidCursor),
        examples=(Example("one address", {}, {"blocks": [_BLOCK]}),),
    ),
    Method(
        "unblock",
        unblock,
        scope="blocks:write",
        access=Access.REQUIRED,
        faults=(Forbidden, NotFound, VersionChanged),
        examples=(
            Example(
                "a customer's office",
                {"subject": "ip:192.0.2.7", "reason": "their job had an old key"},
                {"success": True, "subject": "ip:192.0.2.7"},
            ),
        ),
    ),
)
