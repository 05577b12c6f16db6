"""Keys on the command line: shown once, listed while somebody else writes, ended, and kept ones sealed anew."""

import asyncio
import os
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from monetization.callers import Secret
from monetization.directory import Act, Directory, putting
from monetization.keys.minting import PREFIX
from monetization.keys.provider_keys import ProviderKeys
from monetization.keys.sealing import Seal
from monetization.organizations import ORGANIZATION, Organization
from monetization.price_setting import Author
from server.cli import keys
from server.config_errors import OperatorError
from storage.store import open_store
from tests.fakes.server import config_file
from tests.server.cli.test_cli import run

OLD, NEW = b"o" * 32, b"n" * 32


def now_us() -> int:
    return time.time_ns() // 1_000


def said(capsys: pytest.CaptureFixture[str], action: str, key_id: str | None = None, **options: Any) -> list[str]:
    """What the command prints, line by line."""
    keys(action, key_id, **options)
    return capsys.readouterr().out.splitlines()


def test_a_key_is_made_shown_once_listed_rotated_and_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo: dict[str, Any] = {"demo": True, "state": tmp_path}
    key, told = said(capsys, "create", user="u1", name="job", model=["gpt-4*"], rpm=5, **demo)
    key_id = key.removeprefix(PREFIX).partition("_")[0]
    assert (key.startswith(PREFIX), told) == (True, f"key {key_id} of u1; it is not shown again")
    listed = said(capsys, "list", **demo)
    assert [line.split()[:3] for line in listed] == [["key", "status", "user"], [key_id, "active", "u1"]]
    assert len(said(capsys, "list", user="other", **demo)) == 1
    newer = said(capsys, "rotate", key_id, **demo)[0]
    assert newer.startswith(f"{PREFIX}{key_id}_")
    assert newer != key
    assert said(capsys, "revoke", key_id, reason="leaked", **demo) == [f"key {key_id} of u1 is revoked"]
    assert said(capsys, "list", **demo)[1].split()[1] == "revoked"
    kept = (tmp_path / "demo.db").read_bytes() + b"".join(file.read_bytes() for file in tmp_path.glob("demo.db-*"))
    for secret in (key, newer):
        assert secret.partition(f"{key_id}_")[2].encode() not in kept


def test_a_key_can_be_an_organizations_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def founded() -> None:
        async with open_store(f"sqlite:///{tmp_path / 'demo.db'}", clock_us=now_us) as store:
            directory = await Directory.opened(store, clock_us=now_us, monotonic=time.monotonic)
            made = Organization("acme", "Acme")
            act = Act("boss", "createOrganization", "org:acme", "", {})
            await directory.put(act, [putting(ORGANIZATION, "acme", "org:acme", made.members(), expect=0)])

    demo: dict[str, Any] = {"demo": True, "state": tmp_path}
    asyncio.run(founded())
    key, told = said(capsys, "create", organization="acme", **demo)
    key_id = key.removeprefix(PREFIX).partition("_")[0]
    said(capsys, "create", user="u1", organization="acme", **demo)
    assert told == f"key {key_id} of org:acme; it is not shown again"
    assert [line.split()[:3] for line in said(capsys, "list", organization="acme", **demo)[1:]] == [
        [key_id, "active", "org:acme"]
    ]
    assert said(capsys, "revoke", key_id, **demo) == [f"key {key_id} of org:acme is revoked"]


@pytest.mark.parametrize(
    ("arguments", "options", "names"),
    [
        (["create"], {}, "--user"),
        (["create"], {"organization": "nowhere"}, "no such organization"),
        (["create"], {"organization": "acme", "scope": ["events:write"]}, "give --user"),
        (["create"], {"user": "u", "tier": "gold"}, "--tier"),
        (["create"], {"user": "u", "expires": "soon"}, "--expires"),
        (["create"], {"user": "u", "expires": "2001-01-01"}, "--expires"),
        (["revoke"], {}, "id"),
        (["rotate", "0000000000000000"], {}, "no such key"),
        (["forge"], {}, "forge"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], options: dict[str, str], names: str
) -> None:
    with pytest.raises(OperatorError, match=names) as refused:
        keys(*arguments, demo=True, state=tmp_path, **options)  # type: ignore[arg-type]  # texts, as they are typed
    assert "\n" not in str(refused.value)


def test_without_the_secret_no_key_is_made(tmp_path: Path) -> None:
    file = config_file({"storage": {"url": f"sqlite:///{tmp_path / 'x.db'}"}}, tmp_path)
    refused = run("keys", "create", "--config", str(file), "--user", "u")
    assert (refused.returncode, refused.stderr.count("\n"), "keys.secret" in refused.stderr) == (2, 1, True)


async def test_listing_works_while_a_server_writes_and_the_rest_says_what_to_do(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'demo.db'}", clock_us=now_us):
        await asyncio.to_thread(keys, "list", demo=True, state=tmp_path)
        with pytest.raises(OperatorError, match="createApiKey"):
            await asyncio.to_thread(keys, "create", user="u", demo=True, state=tmp_path)


async def test_kept_keys_are_sealed_anew_under_the_newest_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = f"sqlite:///{tmp_path / 'kept.db'}"

    async def kept(sealing: list[bytes], *, is_stored: bool) -> str:
        async with open_store(database, clock_us=now_us) as store:
            directory = await Directory.opened(store, clock_us=now_us, monotonic=time.monotonic)
            found = ProviderKeys(
                directory, Seal.of(sealing, os.urandom), clock_us=now_us, new_id=lambda: "id", is_byok=lambda _: False
            )
            if is_stored:
                await found.store(Author("u"), "u", "openai", Secret("sk-kept-and-sealed-key"), is_default=False)
            return (await found.reveal("u", "openai")).reveal()

    await kept([OLD], is_stored=True)
    texts = [b64encode(key).decode() for key in (NEW, OLD)]
    file = config_file({"storage": {"url": database}, "keys": {"encryption_keys": texts}}, tmp_path)
    for count in ("1", "0"):
        await asyncio.to_thread(keys, "reseal", config=file)
        assert capsys.readouterr().out.split()[0] == count
    assert await kept([NEW], is_stored=False) == "sk-kept-and-sealed-key"
