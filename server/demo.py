"""The demo: a whole server that needs nothing else. It makes settings like any operator's; no code elsewhere knows of it."""

import hmac
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from server.auth.issuing import Holder, issued
from server.config import Settings
from server.config_errors import OperatorError

_TOKEN_SECONDS = 7 * 24 * 3600
_HOLDER = Holder("demo-user", "professional", "demo-organization")


class DemoError(OperatorError):
    """The demo cannot start; the text says what to do."""


def greeting(settings: Settings, state: Path | None, host: str, port: int) -> str:
    """What to tell whoever started the demo: where it listens, where it keeps things, and a line that works."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    token = issued(settings, _HOLDER, expires_seconds=_TOKEN_SECONDS, now=time.time())
    body = '{"jsonrpc":"2.0","id":1,"method":"executeAIRequest","params":{"content":"Hello"}}'
    return (
        f"Tollgate demo on {url} (state in {(state or _state_folder()).absolute()})\n"
        "Try, in another terminal:\n\n"
        f"curl -s {url}/rpc -H 'content-type: application/json' -H 'authorization: Bearer {token}' -d '{body}'\n"
    )


def demo_settings(state: Path | None, address: Mapping[str, object] | None = None) -> Settings:
    """The demo as settings: simulator provider, embedded SQLite, a key that was made on the first start.

    Args:
        state: where the key and the database are kept. None: `.state` beside the project.
        address: host and port, where the defaults are not wanted.

    Raises: DemoError.
    """
    folder = (state or _state_folder()).absolute()
    private = _kept_key(folder)
    return Settings.of(
        {
            "server": {**(address or {})},
            "storage": {"url": f"sqlite:///{folder / 'demo.db'}"},
            "auth": {
                "issuer": "tollgate-demo",
                "audience": "tollgate",
                "algorithms": ["ES256"],
                "private_key": private,
            },
            "keys": {
                "secret": _derived(private, "gateway keys"),
                "encryption_keys": [_derived(private, "provider keys")],
            },
            "providers": {"simulator": {"kind": "simulator", "models": ["simulator"]}},
            "routing": {"default_provider": "simulator", "default_model": "simulator"},
        }
    )


def _derived(private: str, purpose: str) -> str:
    """Another secret that lives as long as the demo's key."""
    return hmac.digest(private.encode(), purpose.encode(), "sha256").hex()


def _state_folder() -> Path:
    """Beside the project; where the product was installed as a package, in the working directory."""
    project = Path(__file__).resolve().parent.parent
    home = project if (project / "pyproject.toml").is_file() else Path.cwd()
    return home / ".state"


def _kept_key(folder: Path) -> str:
    """The demo's private key, made once and readable by its owner only."""
    path = folder / "demo-key.pem"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, _new_key())
        return path.read_text(encoding="ascii")
    except (OSError, ValueError) as wrong:
        reason = (wrong.strerror if isinstance(wrong, OSError) else None) or "unreadable"
        raise DemoError(
            f"{path}: {reason.lower()}; make the folder writable, remove the file, or give --state FOLDER"
        ) from None


def _write_once(path: Path, content: bytes) -> None:
    """Write beside and link into place: a start that is cut off leaves no half key, and of two starts one key remains."""
    draft = path.with_suffix(f".{os.getpid()}")
    with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123  # the mode must hold from the first byte
        file.write(content)
    try:
        with suppress(FileExistsError):  # another start was sooner, and its key is as good
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _new_key() -> bytes:
    from joserfc.jwk import ECKey  # noqa: PLC0415  # only the first start makes one

    return ECKey.generate_key("P-256").as_pem(private=True)
