"""The demo as a visitor meets it: started by the command, used by the very line that it prints and by the README's lines."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.server import ROOT, started

LINES = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


@contextmanager
def demo(state: Path) -> Iterator[str]:
    """The line to copy, while the demo runs on a free port."""
    with started(["--demo", "--state", str(state)], state) as running:
        yield [line["raw"] for line in running.lines() if line.get("raw", "").startswith("curl ")][-1]
        assert running.end() == 0, "leaving when told is no failure"


def copied(line: str) -> Any:
    """What the printed line answers; read as a shell would, sent without needing curl."""
    _, _, url, *rest = shlex.split(line)
    flags = dict(zip(rest[::2], rest[1::2], strict=True))
    headers = dict(value.split(": ", 1) for flag, value in zip(rest[::2], rest[1::2], strict=True) if flag == "-H")
    request = urllib.request.Request(url, data=flags["-d"].encode(), headers=headers)  # noqa: S310  # our own loopback address
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310  # same
        return json.load(reply)


def test_the_printed_line_works_and_still_works_after_a_second_start(tmp_path: Path) -> None:
    with demo(tmp_path) as line:
        first = copied(line)
        assert first["result"]["success"] is True
        assert first["result"]["provider"] == "simulator"
    with demo(tmp_path) as line:
        assert copied(line)["result"]["content"] == first["result"]["content"]


def test_the_lines_of_the_readme_work_one_after_the_other_as_they_stand(tmp_path: Path) -> None:
    blocks = [block for block in LINES.findall((ROOT / "README.md").read_text()) if "curl -s" in block]
    program = f"{shlex.quote(sys.executable)} -c 'from server.cli import main; main()'"
    with demo(tmp_path) as line:
        address = line.split("/rpc")[0].removeprefix("curl -s ")
        script = "echo\n".join(blocks).replace("http://127.0.0.1:8000", address)
        script = script.replace("\ncurl", "\necho; curl").replace(".venv/bin/tollgate", program)
        script = script.replace("--demo", f"--demo --state {shlex.quote(str(tmp_path))}")
        done = subprocess.run(
            ["bash", "-euc", script],  # a shell, as its reader has one
            cwd=ROOT,
            env={name: os.environ[name] for name in ("PATH",)} | {"NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    replies = [json.loads(said.removeprefix("data: ")) for said in done.stdout.splitlines() if said[:1] in {"{", "d"}]
    assert [
        reply for reply in replies if "error" in reply or reply.get("rejected") or reply.get("success") is False
    ] == []
    assert replies[0]["result"]["success"] is True
    assert replies[-1]["object"] == "chat.completion"
    assert [reply["accepted"] for reply in replies if "accepted" in reply] == [1]
    assert len([reply for reply in replies if reply.get("method") != "$/progress"]) == "".join(blocks).count("curl -s")
