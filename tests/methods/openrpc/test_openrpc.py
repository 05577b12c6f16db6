"""The OpenRPC document: complete, stable, and accepted by the specification's own validator."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from methods.all_methods import METHODS
from methods.catalog import Catalog
from methods.errors import CODES
from methods.method import Access, Method
from methods.openrpc import describe
from tests.fakes.npm import FIRST_USE_SECONDS, npm_installed

pytestmark = pytest.mark.timeout(FIRST_USE_SECONDS)
SCRIPT = """
const { validateOpenRPCDocument, parseOpenRPCDocument } = require("@open-rpc/schema-utils-js");
const document = JSON.parse(require("fs").readFileSync(0, "utf8"));
const verdict = validateOpenRPCDocument(document);
if (verdict !== true) { console.error(String(verdict)); process.exit(1); }
parseOpenRPCDocument(document, { validate: true, dereference: true }).then(
  (parsed) => console.log(parsed.methods.length),
  (wrong) => { console.error(String(wrong)); process.exit(1); },
);
"""


def catalog() -> Catalog:
    return Catalog(METHODS, public=["health", "ping", "rpc.discover", "listTiers"])


def document() -> dict[str, Any]:
    return describe(catalog(), title="Tollgate", version="1.2.3", url="http://127.0.0.1:8000/")


def entries() -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in document()["methods"]}


@pytest.fixture(scope="module")
def validator() -> Path:
    """A folder with the official validator, installed outside the tracked tree and kept between runs."""
    folder = npm_installed("openrpc-validator")
    (folder / "validate.cjs").write_text(SCRIPT)
    return folder


def validated(folder: Path, given: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["node", "validate.cjs"],
        cwd=folder,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("version", ["1.3.2", "1.2.6"])
def test_the_official_validator_accepts_the_document(validator: Path, version: str) -> None:
    done = validated(validator, {**document(), "openrpc": version})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(entries())


def test_the_official_validator_is_really_asked(validator: Path) -> None:
    broken = document()
    del broken["methods"][0]["params"]
    assert validated(validator, broken).returncode == 1


def test_every_method_and_alias_has_an_entry_and_an_alias_says_whose_it_is() -> None:
    named = entries()
    for method in METHODS:
        assert "x-alias-of" not in named[method.name]
        for alias in method.aliases:
            assert named[alias]["x-alias-of"] == method.name
            assert named[alias]["params"] == named[method.name]["params"]
    assert len(named) == sum(1 + len(method.aliases) for method in METHODS) == len(document()["methods"])


def test_the_documents_names_of_the_ai_call_are_all_there() -> None:
    named = entries()
    assert {name for name, entry in named.items() if entry.get("x-alias-of") == "executeAIRequest"} == {
        "ai.generateText",
        "generateText",
    }
    params = [param["name"] for param in named["executeAIRequest"]["params"]]
    assert params[:5] == ["content", "systemPrompt", "options", "metadata", "apiKey"], "positions are a promise"
    assert set(params) == {
        *("content", "systemPrompt", "options", "metadata", "apiKey", "messages", "promptId", "promptContext"),
        *("stream", "provider", "userId", "featureId"),
    }


def test_the_shape_of_the_document_is_stable() -> None:
    assert {
        name: (entry["x-access"], entry["x-metered"], entry["x-streams"], [p["name"] for p in entry["params"]])
        for name, entry in entries().items()
        if "x-alias-of" not in entry and entry["tags"] == [{"name": "system"}]
    } == {
        "ping": ("public", False, False, []),
        "health": ("public", False, False, []),
        "rpc.discover": ("public", False, False, []),
        "listProviders": ("optional", False, False, []),
        "listAllowedModels": ("optional", False, False, ["provider"]),
        "validateProvider": ("required", False, False, ["provider", "apiKey"]),
        "cancelRequest": ("optional", False, False, ["id", "apiKey"]),
    }
    assert document() == document()
    assert document()["servers"][0]["url"] == "http://127.0.0.1:8000/rpc"


def test_every_reference_inside_the_document_leads_somewhere() -> None:
    given = document()
    for reference in references(given):
        place: Any = given
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref":
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_every_error_has_the_number_of_the_one_table_and_a_stable_reason() -> None:
    errors = document()["components"]["errors"]
    by_name = {fault.__name__: code for fault, code in CODES.items()}
    for name, error in errors.items():
        if name != "Internal":
            assert error["code"] == by_name[name]
            assert error["data"]["reason"]
    ai = {reference["$ref"].rpartition("/")[2] for reference in entries()["executeAIRequest"]["errors"]}
    assert {"QuotaExceeded", "RateLimited", "PaymentRequired", "ProviderFailed", "InvalidParams", "Internal"} <= ai


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_is_explained(method: Method) -> None:
    entry = entries()[method.name]
    assert entry["summary"].endswith(".")
    assert entry["tags"]
    for param in entry["params"]:
        assert param["schema"]


def test_the_document_tells_nothing_about_prompts_or_keys() -> None:
    text = json.dumps(document())
    assert "sk-" not in text
    assert "Traceback" not in text


def test_public_names_must_be_methods() -> None:
    assert Catalog(METHODS, public=["health", "getProviderPricing"]).access["getProviderPricing"] is Access.PUBLIC
    with pytest.raises(ValueError, match="helth"):
        Catalog(METHODS, public=["helth"])
