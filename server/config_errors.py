"""What an operator can correct: one line that names the setting and says what to do. Nothing here ever reaches a caller."""


class OperatorError(Exception):
    """Something that whoever starts the server can correct. Its text is one line and holds no secret."""


class ConfigError(OperatorError):
    """The configuration cannot be served."""

    def __init__(self, origin: str, key: str, problem: str) -> None:
        super().__init__(": ".join(part for part in (origin, key, problem) if part).replace("\n", " "))
        self.key = key
        """The dotted key; empty where the whole file is wrong."""
        self.problem = problem.replace("\n", " ")
        """What is wrong and what to do, without the key."""
