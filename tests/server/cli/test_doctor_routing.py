"""What `tollgate doctor` tells about names and choices, plans and the door for agents."""

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


OVERAGE = """[providers.local]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["m"]
[prices]
"local/m" = { input = "10", output = "30" }
[tiers.free]
overage = { price_usd_per_million = "12" }
"""


def test_overage_below_what_a_model_costs_is_warned_of_as_at_the_start(tmp_path: Path) -> None:
    _, lines = told(tmp_path, OVERAGE)
    assert ["local/m costs ($20" in line for line in lines if "tiers.free.overage" in line] == [True]
    _, lines = told(tmp_path, OVERAGE.replace('"12"', '"20"'))
    assert not any("tiers.free.overage" in line for line in lines)


def test_an_enabled_door_for_agents_fails_where_its_package_is_missing(tmp_path: Path) -> None:
    enabled = f'[keys]\nsecret = "{"k" * 44}"\n[mcp]\nenabled = true\n'
    code, lines = told(tmp_path, enabled)
    assert (code, line(lines, "mcp").split()[0]) == (0, "ok")
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "mcp.py").write_text("raise ImportError('it is not installed')\n")
    code, lines = told(tmp_path, enabled, PYTHONPATH=str(tmp_path / "without"))
    assert (code, line(lines, "mcp").split()[0]) == (1, "FAIL")
    assert "pip install -e '.[mcp]'" in line(lines, "mcp")
    code, lines = told(tmp_path, "", PYTHONPATH=str(tmp_path / "without"))
    assert (code, [said for said in lines if "mcp" in said]) == (0, [])
