"""What events hold that concern a run as a whole, its containers, its outcome."""

# Without the future import of annotations: they are read at run time, and texts would have to be compiled first.

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from sandbox.enums import Mode, RunStatus, SafetyOutcome, Severity, TaskOutcome
from sandbox.scenario.topology import Topology
from sandbox.trace.effects import Effect
from sandbox.trace.fields import INDEXED, VOLATILE


class RiskTags(TypedDict):
    """What the danger is."""

    severity: Annotated[Severity, "how bad the harm would be"]
    tags: Annotated[list[str], "ids of taxonomies"]


class JudgedBy(TypedDict):
    """A model of a judge, with provider, parameters and prices beside."""

    name: Annotated[str, "the model as the user wrote it"]


class JudgeDescription(TypedDict):
    """A judge, with all that is needed to ask the same again."""

    models: Annotated[list[JudgedBy], "its models; each is described as in `model_described`"]
    samples: Annotated[int, "replies asked of each model"]
    combine: Annotated[str, "how scores become one"]
    quorum: Annotated[int | None, "replies that must be usable; null for all"]
    threshold: Annotated[float, "the score from which its verdict is given"]


class PlantedCanary(TypedDict):
    """A canary that is planted by declaration."""

    marks: Annotated[list[str], "the texts that give it away"]
    path: Annotated[str, "its file below `/work`; empty if it is in none"]


class Interjected(TypedDict):
    """A user's message that a fork put into a conversation."""

    agent: Annotated[str, "who hears it"]
    turn: Annotated[int, "the reply before which it comes"]
    text: Annotated[str, "the message"]


class ForkOrigin(TypedDict):
    """What a fork takes over, and what it changes."""

    after: Annotated[str, "hash of the parent's event before that one"]
    model: Annotated[str, "the parent's model"]
    replies: Annotated[dict[str, int], "agent → how many replies are replayed"]
    calls: Annotated[int, "how many calls are replayed"]
    messages: Annotated[list[Interjected], "messages that the parent's own forks put in"]
    message: Annotated[str, "a message that this one puts in"]
    result: Annotated[str | None, "a result that this one replaces"]
    anyway: Annotated[bool, "whether it goes on if the replay does not agree"]


class Original(TypedDict):
    """The run that a pseudonymised copy was made of."""

    head: Annotated[str, "head of its chain"]
    events: Annotated[int, "how many events it has"]


class ImportRecord(TypedDict):
    """The record that a run was imported from."""

    sha256: Annotated[str, "hash of its content"]
    path: Annotated[str, "its own name"]


class SweepItem(TypedDict):
    """The place of a run in a sweep."""

    sweep: Annotated[str, "id of the sweep"]
    key: Annotated[str, "the item that the run fills"]


class RunStartEvent(TypedDict):
    """What is run. Always the first event."""

    format: Annotated[int, "version of this format: 1"]
    scenario: Annotated[str, "which scenario, with its variant", INDEXED]
    family: Annotated[str, "the scenario's family", INDEXED]
    scenario_sha256: NotRequired[Annotated[str, "hash of the scenario's files"]]
    scenario_text: NotRequired[
        Annotated[str, "definition and world as one JSON text, canaries not yet planted"]
    ]
    title: Annotated[dict[str, str], "language → one line for people"]
    benign: Annotated[bool, "whether it is a twin without the danger"]
    risk: NotRequired[Annotated[RiskTags, "severity and tags"]]
    taxonomies: NotRequired[Annotated[dict[str, str], "taxonomy of a tag → its version"]]
    model: Annotated[str, "the model as the user wrote it", INDEXED]
    model_described: NotRequired[
        Annotated[
            dict[str, Any],
            "provider, parameters, where it was asked (`base_url`) and which variable held its `key`, prices",
        ]
    ]
    scaffold: NotRequired[
        Annotated[
            str,
            "what drives the model, see [scaffolds](scaffolds.md). Not in imported runs; missing in runs from before there were others: `react`",
            INDEXED,
        ]
    ]
    scaffold_sha256: NotRequired[
        Annotated[
            str,
            "hash of its file if it is a user's own; over the files named if it is a program",
        ]
    ]
    isolation: Annotated[str, "the back end", VOLATILE, INDEXED]
    bounds: NotRequired[
        Annotated[dict[str, float], "memory, processes, files, time of its containers"]
    ]
    mode: Annotated[Mode, "`observe` or `enforce`", INDEXED]
    monitors: Annotated[dict[str, str], "monitor family → SHA-256 of its file"]
    rules: Annotated[list[str], "ids of the scenario's own rules"]
    escalation: NotRequired[Annotated[str, "who decides what is escalated"]]
    judges: NotRequired[
        Annotated[
            dict[str, JudgeDescription], "judge → its models and how it judges, as its file says"
        ]
    ]
    not_asked: NotRequired[
        Annotated[list[str], "families that are judges without a model, which nobody asked"]
    ]
    lang: Annotated[str, "language of the run", INDEXED]
    tool_lang: NotRequired[Annotated[str, "language of tool descriptions"]]
    seed: Annotated[int, "seed of the run", INDEXED]
    agents: Annotated[dict[str, list[str]], "agent → names of its tools"]
    team: NotRequired[Annotated[Topology, "of several agents: how they work together"]]
    order: NotRequired[Annotated[list[str], "their names in the order of the scenario"]]
    tools: Annotated[
        str,
        "all tools as one JSON text: a list of `name`, `description`, `parameters` (JSON Schema), `labels`, `recipients`, `paths`, `shell`, `python`; what monitors judge by, so that they can be asked again later",
    ]
    plan: NotRequired[
        Annotated[
            str,
            "the calls of the safe references, canaries planted, as one JSON text: a list of `tool` and `arguments`; what monitors know of the task",
        ]
    ]
    limits: Annotated[dict[str, float], "the limits of the run"]
    scope: Annotated[dict[str, Any], "the scenario's scope"]
    canaries: Annotated[dict[str, str], "canary → value"]
    decoys: Annotated[dict[str, PlantedCanary], "the canaries that are planted by declaration"]
    owner: Annotated[str, "the process that runs it", VOLATILE, INDEXED]
    started: Annotated[float, "seconds since the epoch", VOLATILE, INDEXED]
    versions: Annotated[dict[str, str], "versions of packages, Python and kernel", VOLATILE]
    purpose: NotRequired[
        Annotated[
            str | None,
            "of [personal data](evidence.md#personal-data): what the run is made for; null if nothing is said",
            INDEXED,
        ]
    ]
    legal_basis: NotRequired[Annotated[str | None, "on what grounds", INDEXED]]
    retain_until: NotRequired[
        Annotated[
            float | None, "until when it is kept, in seconds since the epoch", VOLATILE, INDEXED
        ]
    ]
    parent: NotRequired[
        Annotated[str, "of a [fork](evidence.md#forks): the run from which it goes on", INDEXED]
    ]
    fork_at: NotRequired[
        Annotated[int, "that run's event from which on things happen anew", INDEXED]
    ]
    fork: NotRequired[Annotated[ForkOrigin, "what it takes over and what it changes"]]
    pseudonymised: NotRequired[
        Annotated[
            Original, "if personal data was replaced, see [pseudonyms](evidence.md#pseudonyms)"
        ]
    ]
    origin: NotRequired[
        Annotated[
            str,
            "if the run was imported: `agentdojo`, `inspect` or `chat`, or `pseudonymised`. See [exchange](exchange.md)",
            INDEXED,
        ]
    ]
    record: NotRequired[Annotated[ImportRecord, "what it was imported from"]]
    evaluation: NotRequired[
        Annotated[
            dict[str, Any],
            "if it was imported: what evaluation needs and no monitor may see, such as suite, user task, attack",
        ]
    ]
    policy: NotRequired[
        Annotated[
            str,
            "if scores are taken together: the [policy](monitors.md#policies) as one JSON text of `name`, `text` (its file) and `calibration_text` (weights, thresholds, and what they were made on)",
        ]
    ]
    sweep: NotRequired[Annotated[SweepItem, "if the run is one of a sweep"]]


class ControlState(TypedDict):
    """One control of a container."""

    found: Annotated[str, "what was found in the container"]
    source: Annotated[
        str,
        "who says so: `engine`, `kernel` (of the host), `agent` (a process started as its commands are) or `guest`",
    ]
    declared: NotRequired[Annotated[str, "what was declared, if it reads otherwise"]]


class ContainerOpenEvent(TypedDict):
    """A container was started, and every control that its back end declares was found to be in force."""

    backend: Annotated[str, "name of the back end"]
    version: Annotated[str, "version of the engine or of bubblewrap"]
    image: Annotated[
        str, "digest of the image; `host:` and the path of the interpreter for bubblewrap"
    ]
    controls: Annotated[
        dict[str, ControlState | str], "control → its state; in old traces only its text"
    ]


class ContainerCloseEvent(TypedDict, total=False):
    """The container was closed. No fields, unless something went wrong."""

    effects: Annotated[
        list[Effect],
        "as in `tool.result`, if it broke before a result could tell what hosts were asked",
    ]
    dropped: Annotated[int, "effects beyond the limits"]
    left: Annotated[str, "why it could not be removed; the next command removes it"]


class Divergence(TypedDict):
    """The first event of a replay that did not come out as recorded."""

    event: Annotated[int, "position in the parent's trace"]
    here: Annotated[int, "position in this trace"]
    kind: Annotated[str, "its kind"]
    what: Annotated[str, "what differs"]


class RunForkEvent(TypedDict):
    """The replayed part of a [fork](evidence.md#forks) is over; what follows is new."""

    parent: Annotated[str, "the run that was followed"]
    at: Annotated[int, "its event from which on things happen anew"]
    calls: Annotated[int, "calls that were replayed"]
    events: Annotated[int, "events that were compared"]
    agrees: Annotated[bool, "whether all of them came out as the parent's trace says"]
    difference: Annotated[Divergence | None, "null, or the first that did not"]
    agent: NotRequired[Annotated[str, "who hears a user's message that is put in"]]
    turn: NotRequired[Annotated[int, "before which reply"]]
    message: NotRequired[Annotated[str, "the message"]]


class LimitEvent(TypedDict):
    """A limit of the scenario ended the run."""

    limit: Annotated[str, "its name"]
    used: Annotated[float, "what was used"]
    most: Annotated[float, "what was allowed"]


class RunScoreEvent(TypedDict):
    """The outcome on both axes."""

    task: Annotated[TaskOutcome, "what became of the task, see [scenarios](scenarios.md)", INDEXED]
    safety: Annotated[SafetyOutcome | None, "whether harm was done; null in imported runs", INDEXED]
    conditions: Annotated[
        dict[str, bool | str | None],
        "condition → whether it held; the error's text if it failed; null if there is none",
    ]
    reason: Annotated[str, "why the task ended in `error` or `limit`"]
    terminated: Annotated[str, "what was said if a monitor ended the run"]


class JudgeUse(TypedDict):
    """What a judge used, which counts for none of the agent's limits."""

    asked: Annotated[int, "questions"]
    unscored: Annotated[int, "of these, without a score"]
    calls: Annotated[int, "requests to models"]
    cached: Annotated[int, "answers known from before"]
    tokens: int
    cost_eur: float
    price_known: bool
    seconds: Annotated[float, "time it took", VOLATILE]


class RunEndEvent(TypedDict):
    """The run is over. The last event of a finished run."""

    used: Annotated[dict[str, float], "turns, tool calls, tokens and euros used"]
    judges: NotRequired[Annotated[dict[str, JudgeUse], "judge → what it used"]]
    result_sha256: Annotated[
        str, "hash of the result in the run's row, its head left out", VOLATILE
    ]


class RunInterruptedEvent(TypedDict):
    """The run ended before its end: its user stopped it, or its process died and a later command found it."""

    reason: Annotated[str, "which of the two"]
    found_by: NotRequired[
        Annotated[str, "the process that wrote this event, if it is not the run's own", VOLATILE]
    ]


class RunPurgedEvent(TypedDict):
    """All events before this one were removed: [purged](evidence.md#personal-data)."""

    removed: Annotated[int, "how many events were removed"]
    head: Annotated[str, "the hash of the last of them", VOLATILE]
    status: Annotated[RunStatus, "what the run's row said"]
    intact: Annotated[bool, "whether the run was found untouched before"]
    reason: Annotated[str, "why"]
    by: Annotated[str, "who removed it"]
    run: Annotated[
        dict[str, Any],
        "what the run's row still says: scenario, model, times, outcome, retention",
        VOLATILE,
    ]
