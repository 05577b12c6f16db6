"""The document of a configured server, without starting it."""

import pytest

from methods.method import Access
from server.config import ConfigError, Settings
from server.describe import catalog_of, openrpc_document


def settings(**auth: object) -> Settings:
    return Settings.of(
        {
            "server": {"port": 8123},
            "auth": {
                "issuer": "https://auth.example.com",
                "audience": "tollgate",
                "algorithms": ["HS256"],
                "secret": "a-secret-of-at-least-thirty-two-characters",
                **auth,
            },
            "providers": {"simulator": {"kind": "simulator", "models": ["simulator"]}},
            "routing": {"default_provider": "simulator", "default_model": "simulator"},
        }
    )


def test_it_names_the_configured_address_and_every_method() -> None:
    document = openrpc_document(settings())
    assert document["servers"][0]["url"] == "http://127.0.0.1:8123/rpc"
    assert {"executeAIRequest", "rpc.discover"} <= {method["name"] for method in document["methods"]}
    assert document["info"]["version"]


def test_it_shows_what_the_configuration_opens_and_closes() -> None:
    def access(**auth: object) -> dict[str, str]:
        document = openrpc_document(settings(**auth))
        return {method["name"]: method["x-access"] for method in document["methods"]}

    assert access()["listProviders"] == "optional"
    assert access(public_methods=["listProviders"])["listProviders"] == "public"
    assert access(require_auth=True)["listProviders"] == "required"
    assert access(require_auth=True)["health"] == "public"


def test_the_documented_list_of_public_methods_is_accepted_and_a_misspelling_is_not() -> None:
    names = ["health", "ping", "rpc.discover", "listTiers", "getTierDetails", "getProviderPricing"]
    assert catalog_of(settings(public_methods=names)).access["health"] is Access.PUBLIC
    with pytest.raises(ConfigError, match=r"auth\.public_methods: names no method: helth"):
        catalog_of(settings(public_methods=["helth"]))
