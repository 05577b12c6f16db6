"""The calls that run in this process, so that their callers can cancel them by id. It keeps no raw key and no result."""

import asyncio
import hashlib
import secrets
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Final

from methods.errors import Cancelled
from monetization.callers import Caller
from monetization.calls import Call

_Key = tuple[str, str | int | float]
_UNTRACKED: Final = nullcontext()


class RunningCalls:
    """Knows each running call by its principal and the caller's own id. One per process, used from its event loop only."""

    def __init__(self) -> None:
        self._running: dict[_Key, list[_Tracked]] = {}
        self._salt = secrets.token_bytes(16)

    def track(self, caller: Caller, call: Call) -> AbstractContextManager[None]:
        """Hold the current task under the call's id while the block runs.

        Raises: Cancelled out of the block when `cancel` ended it. A cancellation from anywhere else, such as a client that left,
        stays a CancelledError.
        """
        if call.rpc_id is None:
            return _UNTRACKED
        principal = self._principal(caller)
        return _UNTRACKED if principal is None else _Tracked(self._running, (principal, call.rpc_id))

    def cancel(self, caller: Caller, rpc_id: str | float) -> bool:
        """Cancel the caller's own call of that id. False: none runs, or the id is not unique among the caller's calls."""
        principal = self._principal(caller)
        found = None if principal is None else self._running.get((principal, rpc_id))
        if found is None or len(found) != 1:
            return False
        return found[0].cancel()

    def _principal(self, caller: Caller) -> str | None:
        """Who may cancel. None: an address alone is shared by strangers, so nobody may."""
        if caller.user_id is not None:
            return f"user:{caller.user_id}"
        if caller.is_organizations:
            return f"gateway:{caller.key_id}"
        if caller.own_key is None:
            return None
        shown = f"{caller.own_key.reveal()}\n{caller.address}".encode()
        return f"key:{hashlib.blake2b(shown, key=self._salt, digest_size=16).hexdigest()}"


class _Tracked(AbstractContextManager[None]):
    __slots__ = ("_is_cancelled", "_key", "_running", "_task")

    def __init__(self, running: dict[_Key, list["_Tracked"]], key: _Key) -> None:
        self._running = running
        self._key = key
        self._is_cancelled = False
        self._task: asyncio.Task[object] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        same = self._running.get(self._key)
        if same is None:
            self._running[self._key] = [self]
        else:
            same.append(self)

    def cancel(self) -> bool:
        if self._is_cancelled or self._task is None or self._task is asyncio.current_task():
            return False  # a call that cancels itself would wait for its own end
        self._is_cancelled = True
        return self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        same = self._running[self._key]
        same.remove(self)
        if not same:
            del self._running[self._key]
        if not self._is_cancelled or self._task is None:
            return
        # The task lives on after this request was taken back; others may have cancelled it as well, and theirs stands.
        others = self._task.uncancel()
        if isinstance(error, asyncio.CancelledError) and others == 0:
            raise Cancelled("the caller cancelled this call") from None
