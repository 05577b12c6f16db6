"""OpenAI's official SDKs, unmodified, against a real server: every check of every language and generation by its name."""

import pytest
import pytest_asyncio

from tests.sdks.world import Said, Scripts, cases

pytestmark = pytest.mark.timeout(300)  # the first test waits for all scripts


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def said(scripts: Scripts) -> Said:
    return await scripts.said("openai")


@pytest.mark.parametrize(("language", "generation", "name"), cases("openai"))
def test_the_sdk_gets_what_it_knows(said: Said, language: str, generation: str, name: str) -> None:
    line = said[language, generation].get(name)
    assert line is not None, "the script did not get there"
    assert line["ok"], line["seen"]
