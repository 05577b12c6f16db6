"""Whose door a path is: a path that one vendor alone has is that vendor's, whatever the client sends beside it."""

import pytest

from server.vendors.tables import surface_of


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/responses", "/v1/responses/input_tokens", "/v1/embeddings"]
)
@pytest.mark.parametrize(
    ("header", "query"),
    [(b"anthropic-version", b""), (b"x-goog-api-key", b""), (b"x-goog-api-client", b""), (b"x-other", b"a=b&key=c")],
)
def test_openais_own_paths_are_openais_whatever_headers_and_query_come_along(
    path: str, header: bytes, query: bytes
) -> None:
    assert surface_of("POST", path, {header: b"x"}, query)[0].name == "openai"


@pytest.mark.parametrize(
    ("header", "query", "name"),
    [
        (b"anthropic-version", b"", "anthropic"),
        (b"x-goog-api-key", b"", "gemini"),
        (b"x-other", b"key=c", "gemini"),
        (b"x-other", b"", "openai"),
    ],
)
def test_the_list_of_models_is_the_askers(header: bytes, query: bytes, name: str) -> None:
    assert surface_of("GET", "/v1/models", {header: b"x"}, query)[0].name == name
