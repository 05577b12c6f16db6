"""What `tollgate doctor` tells about names and choices."""

from pathlib import Path

from tests.server.cli.test_doctor_limits import line, told

ROUTING = """[providers.local]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["m", "n"]
[prices]
"local/m" = { input = "1", output = "2" }
[charging]
price_book = "legacy"
[routing]
aliases = { smart = "local/m" }
[routing.equivalents.small]
models = ["local/m", "local/n"]
policy = "cheapest"
[routing.substitutes.free]
m = "local/m"
n = "smart"
"""


def test_what_routing_names_without_a_price_is_warned_of(tmp_path: Path) -> None:
    _, lines = told(tmp_path, ROUTING)
    assert "1 alias(es), 1 group(s)" in line(lines, "routing")
    warned = [line for line in lines if "no price is known" in line]
    assert [line.split()[2] for line in warned] == ["routing.equivalents.small:"]
    assert "local/n" in warned[0]


def test_without_names_nothing_is_told_of_routing(tmp_path: Path) -> None:
    _, lines = told(tmp_path, "")
    assert not any("routing" in line for line in lines)
