"""The outside world that answers AI requests: a provider is a dialect, a base URL, a credential and the shared HTTP session."""
