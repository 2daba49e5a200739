"""What events hold that concern conversations: messages, and what models are asked and answer."""

# Without the future import of annotations: they are read at run time, and texts would have to be compiled first.

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from sandbox.trace.fields import NAME, VOLATILE


class WireFunction(TypedDict):
    """The function of a call in a message."""

    name: Annotated[str, "as providers allow it"]
    arguments: Annotated[str, "as JSON text"]


class WireCall(TypedDict):
    """A call in a message, in OpenAI's chat format."""

    id: Annotated[str, "id of the call", NAME]
    type: Annotated[str, "`function`"]
    function: WireFunction


class ChatMessage(TypedDict):
    """A message in OpenAI's chat format."""

    role: Annotated[str, "as in OpenAI's chat format"]
    content: NotRequired[Annotated[str | list[dict[str, Any]] | None, "as in OpenAI's chat format"]]
    tool_calls: NotRequired[
        Annotated[list[WireCall], "calls of an assistant's message, if it has any"]
    ]
    tool_call_id: NotRequired[
        Annotated[str, "of the role `tool`: the call that it stands for", NAME]
    ]
    name: NotRequired[Annotated[str, "of the role `tool`: its function"]]


class MessageEvent(ChatMessage):
    """A message entered an agent's conversation: system prompt, task, what an answer became.

    The model's own answer is one if the scaffold shows it to the model otherwise than the model gave it. Results of
    tools are not repeated here; they are in `tool.result`. A message of the role `tool` is what the model read in a result's place: what a scaffold made of
    a result, or `not executed` for a call that stands in the conversation and was not handed over.
    """


ChannelMessageEvent = TypedDict(
    "ChannelMessageEvent",
    {
        "from": Annotated[
            str,
            "name of the agent that wrote it; empty for the notice that a hand-over was refused, `program` for what the program of an [agent from elsewhere](outside.md) puts into its conversation after its first call",
        ],
        "to": Annotated[str, "name of the agent that reads it"],
        "text": Annotated[str, "as it is read"],
    },
)
ChannelMessageEvent.__doc__ = "An agent reads what another has written to it."


class ModelRequestEvent(TypedDict):
    """A model was asked."""

    turn: Annotated[int, "how many replies this agent had before"]
    model: Annotated[str, "as the user wrote it"]
    messages: Annotated[int, "length of the conversation"]
    kept: Annotated[int, "how many of its messages were there at the last request"]
    tools_sha256: Annotated[str, "hash of the tool descriptions it was given"]


class ModelRetryEvent(TypedDict):
    """A request failed in a way that may pass, and is tried again."""

    turn: Annotated[int, "which request"]
    attempt: Annotated[int, "which attempt failed"]
    reason: Annotated[str, "why"]
    wait_seconds: Annotated[float, "how long until the next", VOLATILE]


class AskedCall(TypedDict):
    """A call that a model asked for."""

    id: Annotated[str, "id of the call", NAME]
    name: Annotated[str, "as the model wrote it"]
    arguments: NotRequired[Annotated[dict[str, Any], "as the model gave them"]]
    raw: NotRequired[
        Annotated[str, "in place of `arguments`: what the model wrote, if it is no JSON object"]
    ]


class TokenUsage(TypedDict):
    """What a reply of a model used."""

    input_tokens: int
    output_tokens: int
    cost_eur: Annotated[float, "price; 0 if none is known"]
    price_known: bool
    energy_kwh: NotRequired[Annotated[float | None, "estimated; null if it is not known"]]


class ModelReplyEvent(TypedDict):
    """A model answered."""

    turn: Annotated[int, "which request"]
    model: Annotated[str, "the model as the provider names it"]
    seconds: Annotated[float, "time it took", VOLATILE]
    text: Annotated[str, "the answer"]
    reasoning: NotRequired[Annotated[str, "the reasoning, if the provider returns it"]]
    calls: Annotated[list[AskedCall], "calls it asks for"]
    finish: Annotated[str, "why it stopped, in the provider's word"]
    usage: Annotated[TokenUsage, "what it used; nothing if it is replayed"]
    words_only: NotRequired[
        Annotated[
            bool,
            "true if no tools were offered, as for a plan: it is not the agent's last word, and calls in it are not made",
        ]
    ]
    replayed: NotRequired[
        Annotated[
            int,
            "in the replayed part of a fork: the parent's event that the reply is taken from",
        ]
    ]


class ModelErrorEvent(TypedDict):
    """A model could not be used; the run ends with task `error`."""

    reason: Annotated[str, "what failed"]
