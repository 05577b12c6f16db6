"""The README's lines for each SDK, run as they stand there: only the address is another one."""

import asyncio
import os
import re
import sys

import pytest

from tests.fakes.server import ROOT
from tests.sdks.world import Scripts

PACKAGES = {
    '"openai"': '"openai-newest"',
    '"@anthropic-ai/sdk"': '"anthropic-newest"',
    '"@google/genai"': '"gemini-newest"',
}
"""The name of each package, and the one under which its newest major lies beside the one before."""
SECTION = re.compile(r"^### (\w+)'s SDK\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(python|javascript)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINES = 5


def examples() -> list[tuple[str, str, str]]:
    """Vendor, language and lines of each."""
    text = (ROOT / "README.md").read_text()
    return [(vendor, *block) for vendor, section in SECTION.findall(text) for block in BLOCK.findall(section)]


def test_there_is_one_of_five_lines_for_each_sdk() -> None:
    named = sorted((vendor, language) for vendor, language, _ in examples())
    vendors = ("Anthropic", "Google", "OpenAI")
    assert named == [(vendor, language) for vendor in vendors for language in ("javascript", "python")]
    assert {sum(map(bool, lines.splitlines())) for _, _, lines in examples()} == {LINES}


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("vendor", "language", "lines"), examples(), ids=lambda value: value if len(value) < 12 else ""
)
async def test_its_lines_print_an_answer(scripts: Scripts, vendor: str, language: str, lines: str) -> None:
    here = lines.replace("http://127.0.0.1:8000", scripts.server.url)
    for package, alias in PACKAGES.items():
        here = here.replace(f"from {package}", f"from {alias}")
    command = [sys.executable, "-c", here] if language == "python" else ["node", "--input-type=module", "-e", here]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT / "tests" / "sdks" / "js",
        env={**os.environ, "TOLLGATE_TOKEN": scripts.keys["good"], "NO_PROXY": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            out, problems = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, problems.decode(errors="replace")[-2000:]
    assert len(out.decode().strip()) > 5, out
