"""The vendors' official SDKs, unmodified, against a real server: every check of every language and generation by its name."""

from collections.abc import Mapping

import pytest
import pytest_asyncio

from tests.sdks.books import assert_charged_for_what_came, assert_free_of_charge, assert_nothing_stays
from tests.sdks.world import RUNS, Said, Scripts, cases

pytestmark = pytest.mark.timeout(600)  # the first test waits for all scripts
SESSION = pytest.mark.asyncio(loop_scope="session")
EVERY_RUN = [(sdk, *run) for sdk, runs in RUNS.items() for run in runs]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def said(scripts: Scripts) -> Mapping[str, Said]:
    """What all scripts of each SDK said."""
    return {sdk: await scripts.said(sdk) for sdk in RUNS}


@pytest.mark.parametrize(("sdk", "language", "generation", "name"), [case for sdk in RUNS for case in cases(sdk)])
def test_the_sdk_gets_what_it_knows(
    said: Mapping[str, Said], sdk: str, language: str, generation: str, name: str
) -> None:
    line = said[sdk][language, generation].get(name)
    assert line is not None, "the script did not get there"
    assert line["ok"], line["seen"]


@SESSION
@pytest.mark.parametrize(("sdk", "language", "generation"), EVERY_RUN)
async def test_a_stream_left_midway_is_charged_for_what_came(
    said: Mapping[str, Said], scripts: Scripts, sdk: str, language: str, generation: str
) -> None:
    await assert_charged_for_what_came(scripts, said[sdk][language, generation]["left midway"]["seen"])


@SESSION
@pytest.mark.parametrize(("sdk", "language", "generation"), EVERY_RUN)
async def test_an_own_vendor_key_reaches_the_vendor_and_costs_nothing(
    said: Mapping[str, Said], scripts: Scripts, sdk: str, language: str, generation: str
) -> None:
    await assert_free_of_charge(scripts, said[sdk][language, generation]["own vendor key beside ours"]["seen"])


@SESSION
async def test_nothing_stays_held_and_nothing_went_wrong_unseen(said: Mapping[str, Said], scripts: Scripts) -> None:
    await assert_nothing_stays(scripts, *said.values())
