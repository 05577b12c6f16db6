import pytest
from hypothesis import given
from hypothesis import strategies as st

from methods.providers.cleaning import clean

CANARY = "canary0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: sk-{CANARY}. See the page",
        f"Incorrect API key provided: sk-proj-abc***{CANARY}",
        f"https://host/v1beta/models?key={CANARY}&alt=sse failed",
        f"header Authorization: Bearer {CANARY} refused",
        f'{{"api_key": "{CANARY}"}}',
        f"x-goog-api-key: {CANARY}",
        f"postgres://user:{CANARY}@host/db",
        f"AIza{CANARY}abc",
        f"in organization org-{CANARY} on tokens",
        f"token eyJ{CANARY}.{CANARY}.{CANARY}",
        f"gsk_{CANARY}",
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str) -> None:
    assert CANARY not in clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "would exceed your organization's rate limit of 30,000 input tokens (org: {}, model: claude-sonnet-5)",
        "would exceed the rate limit for your organization ({}) of 20,000 input tokens per minute",
    ],
)
def test_whose_account_a_limit_is_is_nobodys_business(text: str) -> None:
    whose = "5456025a-920d-4fae-83df-eb142ce029c1"
    assert clean(text.format(whose)) == text.format("***")
    for project in ("for consumer 'project_number:{}'", "of projects/{}"):
        assert clean(project.format("696498078762")) == project.format("***")


def test_known_values_are_hidden_wherever_they_stand_and_plain_words_stay() -> None:
    assert clean(f"abc{CANARY}def", [CANARY]) == "abc***def"
    for plain in (
        "max_tokens must be at most 8192 for this model",
        "your organization skipped a projection; ask for access",
        "no tool_result for 5456025a-920d-4fae-83df-eb142ce029c1",
    ):
        assert clean(plain) == plain


@given(st.text(max_size=300), st.text(max_size=300), st.text(alphabet="abcdefghij0123456789", min_size=8, max_size=40))
def test_no_text_around_it_brings_a_known_key_out(before: str, after: str, secret: str) -> None:
    assert secret not in clean(before.replace(secret, "") + secret + after, [secret])


def test_the_length_is_bounded() -> None:
    assert len(clean("words " * 100_000)) <= 500
