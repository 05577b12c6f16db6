"""Faults in the words of a vendor's door."""

import pytest

from server.vendors.words import spoken


@pytest.mark.parametrize(
    ("dialect", "bound"),
    [
        ("openai", "max_completion_tokens"),
        ("responses", "max_output_tokens"),
        ("anthropic", "max_tokens"),
        ("gemini", "generationConfig.maxOutputTokens"),
    ],
)
def test_the_bound_and_the_own_key_have_the_names_of_the_door(dialect: str, bound: str) -> None:
    message = "tier 't' does not include maxTokens 9 (at most 5); send it as params.apiKey or apiKeys"
    own = "as the SDK's key, and your credential for this server as X-Tollgate-Key"
    assert spoken(message, dialect) == f"tier 't' does not include {bound} 9 (at most 5); send it {own} or apiKeys"
