"""The books on the command line: granting once, looking while somebody else writes, and finding what is broken."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from billing.accounts import credits_of
from billing.grants import grant_promotion
from storage.store import open_store
from tests.server.cli.test_cli import run


def now_us() -> int:
    return time.time_ns() // 1_000


@pytest.fixture
def demo(tmp_path: Path) -> list[str]:
    return ["--demo", "--state", str(tmp_path)]


def test_a_purchase_is_split_and_the_same_key_grants_once(demo: list[str]) -> None:
    said = ["grant", *demo, "--user", "u1", "--asset", "TOKEN", "--amount", "1000", "--kind", "purchase", "--key", "k"]
    first, again = run(*said), run(*said)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert first.stdout == "granted 800 TOKEN to u1 and 200 to the platform; balance 800; id k\n"
    assert "before, under the same key; balance 800" in again.stdout
    other = run(*said[:-3], "promotion", "--key", "k")
    assert other.returncode == 2
    assert other.stderr.count("\n") == 1
    shown = run("accounts", *demo).stdout
    assert [line.split()[:4] for line in shown.splitlines()[1:]] == [
        ["user", "u1", "TOKEN", "800"],
        ["tenant", "platform", "TOKEN", "0"],
        ["system", "cash_clearing", "TOKEN", "-1000"],
        ["system", "revenue_usage", "TOKEN", "200"],
    ]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--asset", "EUR", "--amount", "1"], "--asset"),
        (["--asset", "TOKEN", "--amount", "1.5"], "--amount"),
        (["--asset", "TOKEN", "--amount", "x"], "--amount"),
        (["--asset", "TOKEN", "--amount", "-5"], "above zero"),
        (["--asset", "TOKEN", "--amount", "1", "--kind", "gift"], "--kind"),
        (["--asset", "TOKEN", "--amount", "1", "--expires", "tomorrow"], "--expires"),
        (["--asset", "TOKEN", "--amount", "1", "--expires", "2001-01-01"], "expired"),
    ],
)
def test_what_cannot_be_granted_is_said_in_one_line(demo: list[str], arguments: list[str], names: str) -> None:
    refused = run("grant", *demo, "--user", "u1", *arguments)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert names in refused.stderr


def test_without_a_database_there_is_nothing_to_look_at(demo: list[str]) -> None:
    for command in ("accounts", "verify"):
        refused = run(command, *demo)
        assert refused.returncode == 2
        assert "start the server once" in refused.stderr


async def test_looking_works_while_a_server_writes_and_granting_says_what_to_do(
    tmp_path: Path, demo: list[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'demo.db'}"
    async with open_store(url, clock_us=now_us) as store:
        account = credits_of("u1", "CREDIT")
        await grant_promotion(store, account, amount=1_500_000_000, source="test", source_ref="1")
        shown, verified, refused = await asyncio.gather(
            asyncio.to_thread(run, "accounts", *demo, "--user", "u1"),
            asyncio.to_thread(run, "verify", *demo),
            asyncio.to_thread(run, "grant", *demo, "--user", "u1", "--asset", "TOKEN", "--amount", "1"),
        )
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[2:4] for line in shown.stdout.splitlines()[1:]] == [
        ["TOKEN", "0"],
        ["CREDIT", "1.5"],
        ["USD", "0"],
    ]
    assert verified.returncode == 0, verified.stderr
    assert [line[:4] for line in verified.stdout.splitlines()] == ["ok  "] * 11
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "stop it, or call grantTokens" in refused.stderr


def test_verify_exits_1_with_the_rows_that_break_an_invariant(tmp_path: Path, demo: list[str]) -> None:
    assert run("grant", *demo, "--user", "u1", "--asset", "TOKEN", "--amount", "10").returncode == 0
    with sqlite3.connect(tmp_path / "demo.db") as forged:
        forged.execute("UPDATE account SET posted=1000000 WHERE owner_id='u1'")
    forged.close()
    verified = run("verify", *demo)
    assert verified.returncode == 1
    failed = [line for line in verified.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split(".")[0][-1] for line in failed] == ["2", "3"]
    assert "1000000" in verified.stdout
