"""The demo as a visitor meets it: started by the command, used by the very line that it prints."""

import json
import shlex
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.server import started


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
