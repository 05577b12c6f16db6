"""Anthropic's official SDKs, unmodified, against a real server: every check of every language and generation by its name."""

import pytest
import pytest_asyncio

from tests.sdks.books import assert_charged_for_what_came, assert_free_of_charge, assert_nothing_stays
from tests.sdks.world import RUNS, Said, Scripts, cases

pytestmark = pytest.mark.timeout(300)  # the first test waits for all scripts
SESSION = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def said(scripts: Scripts) -> Said:
    return await scripts.said("anthropic")


@pytest.mark.parametrize(("language", "generation", "name"), cases("anthropic"))
def test_the_sdk_gets_what_it_knows(said: Said, language: str, generation: str, name: str) -> None:
    line = said[language, generation].get(name)
    assert line is not None, "the script did not get there"
    assert line["ok"], line["seen"]


@SESSION
@pytest.mark.parametrize("run", RUNS["anthropic"], ids="-".join)
async def test_a_stream_left_midway_is_charged_for_what_came(
    said: Said, scripts: Scripts, run: tuple[str, str]
) -> None:
    await assert_charged_for_what_came(scripts, said[run]["left midway"]["seen"])


@SESSION
@pytest.mark.parametrize("run", RUNS["anthropic"], ids="-".join)
async def test_an_own_vendor_key_reaches_the_vendor_and_costs_nothing(
    said: Said, scripts: Scripts, run: tuple[str, str]
) -> None:
    await assert_free_of_charge(scripts, said[run]["own vendor key beside ours"]["seen"])


@SESSION
async def test_nothing_stays_held_and_nothing_went_wrong_unseen(said: Said, scripts: Scripts) -> None:
    await assert_nothing_stays(scripts, said)
