"""`listPrompts` and `getPrompt`: the prompts that the operator shares. The others are used by id only, and never told of."""

from typing import Annotated

from pydantic import Field

from methods.context import Context
from methods.errors import InvalidParams
from methods.method import Example, Method, NoParams, Params, Result
from methods.prompts import PROMPT_ID
from storage.errors import NotFound


class Variable(Result):
    """A placeholder of a prompt."""

    name: str
    required: bool
    default: str | None = None


class PromptEntry(Result):
    """A prompt that can be read."""

    prompt_id: str
    description: str
    variables: list[Variable]


class ListPromptsResult(Result):
    """The prompts that can be read, by id."""

    prompts: list[PromptEntry]


class GetPromptParams(Params):
    """Which prompt, and values for its placeholders."""

    prompt_id: Annotated[str, Field(pattern=PROMPT_ID)]
    prompt_context: dict[str, Annotated[str, Field(max_length=65_536)]] = Field(
        default_factory=dict, max_length=64, description="Values for the prompt's placeholders."
    )


class GetPromptResult(Result):
    """A prompt with its placeholders replaced."""

    prompt_id: str
    text: str


async def list_prompts(context: Context, params: NoParams) -> ListPromptsResult:
    """The prompts that the operator shares. A call can name others too, whose text nobody is shown."""
    del params
    return ListPromptsResult(
        prompts=[
            PromptEntry(
                prompt_id=prompt.prompt_id,
                description=prompt.description,
                variables=[
                    Variable(name=name, required=default is None, default=default)
                    for name, default in prompt.variables.items()
                ],
            )
            for prompt in context.services.prompts.shared()
        ]
    )


async def get_prompt(context: Context, params: GetPromptParams) -> GetPromptResult:
    """The text of a shared prompt, its placeholders replaced."""
    text = context.services.prompts.shown(params.prompt_id, params.prompt_context)
    return GetPromptResult(prompt_id=params.prompt_id, text=text)


METHODS = [
    Method(
        "listPrompts",
        list_prompts,
        scope="ai:call",
        examples=(Example("a server that shares none", {}, {"prompts": []}),),
    ),
    Method(
        "getPrompt",
        get_prompt,
        scope="ai:call",
        faults=(NotFound, InvalidParams),
        examples=(
            Example(
                "a prompt with one placeholder",
                {"promptId": "review-code", "promptContext": {"language": "Python"}},
                {"promptId": "review-code", "text": "You review Python code."},
            ),
        ),
    ),
]
