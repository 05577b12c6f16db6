"""The prompt registry: the operator's own prompts, kept as files, filled with a caller's values.

None is sent back to anybody, but for those whose head says `shared`: they are shown to whoever may make AI requests.

A prompt is `<directory>/<id>.md`: text with `{{ name }}` placeholders, after an optional head in TOML between two `+++` lines:

    +++
    description = "Reviews code"        # for the operator
    provider = "anthropic"              # used when the call names none; the same holds for the next three
    model = "claude-sonnet-4-5"
    max_tokens = 2000
    temperature = 0.2
    shared = true                       # callers may read it: `getPrompt`, and the prompts of the MCP door
    [variables]
    language = "Python"                 # the value when the call gives none; others must be given
    +++
    You review {{ language }} code for {{ team }}.

Placeholders are replaced once and by nothing but text: there is no template language, so a value can neither run code nor reach
another placeholder. Replace files by renaming over them: a file is read whole, whenever it has changed.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from methods.errors import InvalidParams
from storage.errors import NotFound

FILE_BYTES_MAX: Final = 262_144
FILES_MAX: Final = 1000
PROMPT_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

_ID: Final = re.compile(PROMPT_ID)
_PLACEHOLDER: Final = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]{0,63})[ \t]*\}\}")
_FENCE: Final = "+++"

Signature = tuple[int, int, int]


class Head(BaseModel):
    """The optional head of a prompt file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    description: str = ""
    provider: str | None = None
    model: str | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    shared: bool = False
    variables: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt as read from its file."""

    head: Head = field(repr=False)
    pieces: tuple[str, ...] = field(repr=False)
    """Text and placeholder names in turn, beginning and ending with text."""
    signature: Signature


@dataclass(frozen=True, slots=True)
class FilledPrompt:
    """A prompt ready to be sent, and what it wants unless the call says otherwise."""

    text: str = field(repr=False)
    provider: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class SharedPrompt:
    """What is told of a prompt that the operator shares."""

    prompt_id: str
    description: str
    variables: Mapping[str, str | None]
    """Its placeholders in the order in which they first appear, each with its default. None: the value must be given."""


class PromptRegistry:
    """Prompts by id. Looks at the directory at most once every `check_seconds`, and only when somebody asks for a prompt."""

    def __init__(
        self,
        directory: Path | None,
        *,
        clock: Callable[[], float],
        on_problem: Callable[[str], None],
        check_seconds: float = 1.0,
    ) -> None:
        """`clock` gives monotonic seconds. `on_problem` hears of each bad file once: its name, never its text."""
        self._directory = directory
        self._clock = clock
        self._on_problem = on_problem
        self._check_seconds = check_seconds
        self._prompts: Mapping[str, Prompt] = {}
        self._refused: dict[str, Signature] = {}
        self._checked = -check_seconds
        self._refresh(clock())

    def __len__(self) -> int:
        """How many prompts can be used now."""
        return len(self._prompts)

    def fill(self, prompt_id: str, values: Mapping[str, str]) -> FilledPrompt:
        """The prompt with its placeholders replaced. Raises: NotFound, InvalidParams naming the missing variables."""
        prompt = self._now().get(prompt_id)  # ids are looked up among what was read, so none can point outside
        if prompt is None:
            raise unknown_prompt(prompt_id)
        head = prompt.head
        return FilledPrompt(
            text=_fill(prompt, values),
            provider=head.provider,
            model=head.model,
            max_tokens=head.max_tokens,
            temperature=head.temperature,
        )

    def shared(self) -> list[SharedPrompt]:
        """The prompts that callers may read, by id."""
        return [
            SharedPrompt(
                prompt_id,
                prompt.head.description,
                {name: prompt.head.variables.get(name) for name in prompt.pieces[1::2]},
            )
            for prompt_id, prompt in sorted(self._now().items())
            if prompt.head.shared
        ]

    def shown(self, prompt_id: str, values: Mapping[str, str]) -> str:
        """The text of a shared prompt. Raises: NotFound, also for one that is kept to ourselves; InvalidParams as `fill`."""
        prompt = self._now().get(prompt_id)
        if prompt is None or not prompt.head.shared:
            raise unknown_prompt(prompt_id)
        return _fill(prompt, values)

    def _now(self) -> Mapping[str, Prompt]:
        now = self._clock()
        if now - self._checked >= self._check_seconds:
            self._refresh(now)
        return self._prompts

    def _refresh(self, now: float) -> None:
        """Read what has changed and swap the whole table at once; a bad file keeps its last good version."""
        self._checked = now
        if self._directory is None:
            return
        try:
            found = _scan(self._directory)
        except OSError as wrong:
            self._tell_once(
                "", (0, 0, 0), f"prompts: the directory cannot be read ({wrong.strerror}); kept what was read"
            )
            return
        if len(found) > FILES_MAX:
            self._tell_once(
                "", (len(found), 0, 0), f"prompts: more than {FILES_MAX} files; the last by name are not used"
            )
            found = dict(sorted(found.items())[:FILES_MAX])
        else:
            self._refused.pop("", None)
        prompts: dict[str, Prompt] = {}
        for prompt_id, (path, signature) in found.items():
            known = self._prompts.get(prompt_id)
            if known is not None and known.signature == signature:
                prompts[prompt_id] = known
                continue
            try:
                prompts[prompt_id] = read(path, signature)
            except (OSError, ValueError) as wrong:
                if known is not None:
                    prompts[prompt_id] = known
                kept = "it is not used" if known is None else "kept the last good one"
                self._tell_once(prompt_id, signature, f"prompts: {path.name}: {_problem(wrong)}; {kept}")
        self._prompts = prompts

    def _tell_once(self, prompt_id: str, signature: Signature, problem: str) -> None:
        if self._refused.get(prompt_id) != signature:
            self._refused[prompt_id] = signature
            self._on_problem(problem)


def unknown_prompt(prompt_id: str) -> NotFound:
    """The refusal of an id that names nothing that may be told."""
    return NotFound(f"there is no prompt {prompt_id[:64]!r}; ask the operator for its id", reason="unknown_prompt")


def read(path: Path, signature: Signature) -> Prompt:
    """One file as a prompt. Raises: OSError, ValueError when it is not one."""
    with path.open("rb") as file:
        raw = file.read(FILE_BYTES_MAX + 1)
    if len(raw) > FILE_BYTES_MAX:
        raise ValueError(f"is larger than {FILE_BYTES_MAX} bytes")
    text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    head, body = _split(text)
    if not body.strip():
        raise ValueError("holds no text")
    return Prompt(head=head, pieces=tuple(_PLACEHOLDER.split(body.strip("\n"))), signature=signature)


def _split(text: str) -> tuple[Head, str]:
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return Head(), text
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return Head.model_validate(tomllib.loads("\n".join(lines[1:number]))), "\n".join(lines[number + 1 :])
    raise ValueError(f"begins with {_FENCE} and never closes it")


def _scan(directory: Path) -> dict[str, tuple[Path, Signature]]:
    found: dict[str, tuple[Path, Signature]] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            name, dot, extension = entry.name.rpartition(".")
            if dot and extension == "md" and _ID.fullmatch(name) and entry.is_file():
                kept = entry.stat()
                found[name] = (Path(entry.path), (kept.st_mtime_ns, kept.st_size, kept.st_ino))
    return found


def _fill(prompt: Prompt, values: Mapping[str, str]) -> str:
    names = prompt.pieces[1::2]
    if not names:
        return prompt.pieces[0]
    defaults = prompt.head.variables
    missing = sorted({name for name in names if name not in values and name not in defaults})
    if missing:
        raise InvalidParams(
            f"promptContext lacks {', '.join(missing)}",
            reason="prompt_variable_missing",
            data={"errors": [{"path": f"promptContext.{name}", "problem": "Field required"} for name in missing]},
        )
    pieces = list(prompt.pieces)
    pieces[1::2] = [values[name] if name in values else defaults[name] for name in names]
    return "".join(pieces)


def _problem(wrong: OSError | ValueError) -> str:
    """What is wrong with a file, without quoting any of it."""
    if isinstance(wrong, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong.errors(include_input=False))
    if isinstance(wrong, tomllib.TOMLDecodeError):
        return "the head is not TOML"
    if isinstance(wrong, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(wrong, OSError):
        return wrong.strerror or "cannot be read"
    return str(wrong)
