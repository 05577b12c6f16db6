"""What each official SDK is asked to do, by name: the same list for both languages and every generation. No call is made here."""

PROVIDERS = ("openai", "anthropic", "google")
"""Kinds behind every door; a door and a provider are a pair."""

CHAT = (
    "plain text",
    "stream",
    "stream helper",
    "tools",
    "tools in a stream",
    "tool results",
    "structured output",
    "image",
    "error in mid-stream",
    "agent",
    "thinking",
)
"""Asked of every provider, through every door."""

RESPONSES = ("response", "response stream", "response that fails midway", "response tools")
"""Asked of OpenAI itself, and translated for the others; a compatible vendor is one that knows only chat."""
REFUSALS = (
    "no credential that holds",
    "no money",
    "quota used up",
    "too fast",
    "model outside the plan",
    "unknown model",
    "bad request",
    "provider's own refusal",
    "provider failed",
    "provider did not let us in",
    "provider is busy",
    "provider is silent",
)
SHARED = (
    *(f"{name} from {provider}" for name in CHAT for provider in PROVIDERS),
    *REFUSALS,
    "waits as long as it is told",
    "token instead of a key",
    "own vendor key beside ours",
    "path of its own",
    "models",
    "usage of a stream",
    "settings from the environment",
    "repeated key",
    "repeated key at the same time",
    "gives up by itself",
    "unserved surface",
    "left midway",
)
OPENAI = (
    *SHARED,
    "stream without usage",
    "embeddings as the SDK asks for them",
    "embeddings as numbers",
    "embeddings from google",
    *(f"{name} from {provider}" for name in RESPONSES for provider in (*PROVIDERS, "compatible")),
    "response token count",
)
ANTHROPIC = (
    *SHARED,
    "count of tokens",
    "sampling settings of the version",
)
GEMINI = (
    *SHARED,
    "count of tokens",
    "embeddings",
    "embeddings from openai",
)
PYTHON_ONLY = ("asynchronous client",)
"""The other language has no other client."""
BY_SDK = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}
