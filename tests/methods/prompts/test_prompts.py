"""The prompt registry: what a file may say, what a caller may fill in, and what never leaves."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.errors import InvalidParams
from methods.prompts import FILE_BYTES_MAX, PromptRegistry
from storage.errors import NotFound


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Shelf:
    """A directory of prompts, a registry over it, and what the registry complained about."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.problems: list[str] = []
        self.registry = PromptRegistry(directory, clock=self.clock, on_problem=self.problems.append)

    def write(self, name: str, text: str | bytes) -> None:
        """Replace a file the way the module asks for: by renaming over it."""
        fresh = self.directory / f".{name}.new"
        fresh.write_bytes(text.encode() if isinstance(text, str) else text)
        fresh.replace(self.directory / name)

    def later(self) -> None:
        self.clock.now += 1.0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_plain_file_is_a_prompt(shelf: Shelf) -> None:
    shelf.write("review-code.md", "You review code.\n")
    shelf.later()
    assert shelf.registry.fill("review-code", {}).text == "You review code."


def test_placeholders_are_filled_with_the_callers_values(shelf: Shelf) -> None:
    shelf.write("review.md", "You review {{ language }} for {{team}}. {{ language }}!")
    shelf.later()
    filled = shelf.registry.fill("review", {"language": "Python", "team": "Core", "unused": "x"})
    assert filled.text == "You review Python for Core. Python!"


def test_a_missing_variable_is_named_and_nothing_of_the_text_is_told(shelf: Shelf) -> None:
    shelf.write("review.md", "SECRET WORDS {{ language }} {{ team }}")
    shelf.later()
    with pytest.raises(InvalidParams) as refused:
        shelf.registry.fill("review", {"team": "Core"})
    assert refused.value.slug == "prompt_variable_missing"
    assert refused.value.data == {"errors": [{"path": "promptContext.language", "problem": "Field required"}]}
    assert "SECRET" not in str(refused.value)


def test_the_head_gives_defaults_for_the_model_and_for_variables(shelf: Shelf) -> None:
    shelf.write(
        "review.md",
        '+++\ndescription = "d"\nprovider = "anthropic"\nmodel = "m"\nmax_tokens = 50\ntemperature = 0.5\n'
        '[variables]\nlanguage = "Python"\n+++\nIn {{ language }}.\n',
    )
    shelf.later()
    filled = shelf.registry.fill("review", {})
    assert (filled.text, filled.provider, filled.model, filled.max_tokens, filled.temperature) == (
        "In Python.",
        "anthropic",
        "m",
        50,
        0.5,
    )
    assert shelf.registry.fill("review", {"language": "Go"}).text == "In Go."


@settings(deadline=None)
@given(value=st.text(max_size=200))
def test_a_value_is_text_whatever_it_looks_like(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("prompts"))
    shelf.write("p.md", "<{{ a }}|{{ b }}>")
    shelf.later()
    assert shelf.registry.fill("p", {"a": value, "b": "{{ a }}"}).text == f"<{value}|{{{{ a }}}}>"


@pytest.mark.parametrize("code", ["{{ 7*7 }}", "{{ a.b }}", "{% raw %}", "${a}", "{a}", "{{ ''.__class__ }}", "{{}}"])
def test_what_other_template_engines_would_run_stays_text(shelf: Shelf, code: str) -> None:
    shelf.write("p.md", f"x {code} y")
    shelf.later()
    assert shelf.registry.fill("p", {"a": "1"}).text == f"x {code} y"


@pytest.mark.parametrize(
    "prompt_id", ["../secret", "/etc/passwd", "..", "a/b", "a\x00b", ".hidden", "", "nothing", "a\\b"]
)
def test_ids_cannot_leave_the_directory(shelf: Shelf, prompt_id: str) -> None:
    (shelf.directory.parent / "secret.md").write_text("secret")
    (shelf.directory / ".hidden.md").write_text("secret")
    shelf.later()
    with pytest.raises(NotFound) as refused:
        shelf.registry.fill(prompt_id, {})
    assert refused.value.slug == "unknown_prompt"


def test_a_changed_file_counts_from_the_next_second_without_a_restart(shelf: Shelf) -> None:
    shelf.write("p.md", "one")
    shelf.later()
    assert shelf.registry.fill("p", {}).text == "one"
    shelf.write("p.md", "two")
    assert shelf.registry.fill("p", {}).text == "one", "the directory is looked at once a second, not on every call"
    shelf.later()
    assert shelf.registry.fill("p", {}).text == "two"


def test_a_removed_file_is_no_prompt_any_more(shelf: Shelf) -> None:
    shelf.write("p.md", "one")
    shelf.later()
    assert shelf.registry.fill("p", {}).text == "one"
    (shelf.directory / "p.md").unlink()
    shelf.later()
    with pytest.raises(NotFound):
        shelf.registry.fill("p", {})


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b" \n",
        b"\xff\xfe CANARY",
        b"+++\nmodel = 3\n+++\nCANARY",
        b"+++\nbogus = 'CANARY'\n+++\ntext",
        b"+++\nCANARY not toml\n+++\ntext",
        b"+++\nmodel = 'm'\nCANARY",
        b"x" * (FILE_BYTES_MAX + 1),
    ],
)
def test_a_bad_file_keeps_the_last_good_prompt_and_is_told_once_without_its_text(shelf: Shelf, bad: bytes) -> None:
    shelf.write("p.md", "good")
    shelf.later()
    shelf.registry.fill("p", {})
    shelf.write("p.md", bad)
    for _ in range(3):
        shelf.later()
        assert shelf.registry.fill("p", {}).text == "good"
    assert len(shelf.problems) == 1
    assert "p.md" in shelf.problems[0]
    assert "CANARY" not in shelf.problems[0]
    shelf.write("p.md", "better")
    shelf.later()
    assert shelf.registry.fill("p", {}).text == "better"


def test_a_file_that_was_never_good_is_said_to_be_unused(shelf: Shelf) -> None:
    shelf.write("p.md", b"+++\nmodel = 3\n+++\ntext")
    shelf.later()
    with pytest.raises(NotFound):
        shelf.registry.fill("p", {})
    assert shelf.problems[0].endswith("; it is not used")


def test_a_directory_that_vanishes_keeps_what_was_read(shelf: Shelf) -> None:
    shelf.write("p.md", "good")
    shelf.later()
    shelf.registry.fill("p", {})
    (shelf.directory / "p.md").unlink()
    shelf.directory.rmdir()
    for _ in range(3):
        shelf.later()
        assert shelf.registry.fill("p", {}).text == "good"
    assert len(shelf.problems) == 1


def test_a_server_without_prompts_knows_none() -> None:
    with pytest.raises(NotFound):
        PromptRegistry(None, clock=Clock(), on_problem=print).fill("p", {})


def test_nothing_prints_the_text_of_a_prompt(shelf: Shelf) -> None:
    shelf.write("p.md", "CANARY")
    shelf.later()
    filled = shelf.registry.fill("p", {})
    assert "CANARY" not in repr(filled)
    assert "CANARY" not in repr(shelf.registry._prompts)


def test_only_shared_prompts_are_told_of(shelf: Shelf) -> None:
    head = '+++\ndescription = "Reviews code"\nshared = true\n[variables]\nlanguage = "Python"\n+++\n'
    shelf.write("review.md", f"{head}{{{{ team }}}} reviews {{{{ language }}}}; {{{{ team }}}}!")
    shelf.write("secret.md", "SECRET WORDS")
    shelf.later()
    (told,) = shelf.registry.shared()
    assert (told.prompt_id, told.description) == ("review", "Reviews code")
    assert list(told.variables.items()) == [("team", None), ("language", "Python")]


def test_a_shared_prompt_can_be_read_and_another_looks_as_if_it_were_not_there(shelf: Shelf) -> None:
    shelf.write("review.md", "+++\nshared = true\n+++\nYou review {{ language }}.")
    shelf.write("secret.md", "SECRET WORDS")
    shelf.later()
    assert shelf.registry.shown("review", {"language": "Python"}) == "You review Python."
    with pytest.raises(InvalidParams):
        shelf.registry.shown("review", {})
    refusals = []
    for prompt_id in ("secret", "missing"):
        with pytest.raises(NotFound) as refused:
            shelf.registry.shown(prompt_id, {})
        refusals.append((refused.value.slug, str(refused.value).replace(prompt_id, "")))
    assert refusals[0] == refusals[1]
