"""Teams: several agents in one run, who may write to whom, and the briefing of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from sandbox.scenario.localized_text import in_language
from sandbox.scenario.schema import Scenario
from sandbox.scenario.topology import TOOLKIT, final_agent, links, successor

_BRIEFING = {
    "en": "You are {own}, one of several agents who share this work. You can write to:\n{others}\n"
    "Write with team_send. A colleague reads your message when you have finished speaking; an answer "
    "comes after that. {closing}",
    "fr": "Tu es {own}, l'un des agents qui se partagent ce travail. Tu peux écrire à :\n{others}\n"
    "Écris avec team_send. Ton collègue lit ton message quand tu as fini de parler ; une réponse vient "
    "après. {closing}",
}
_IN_LINE = {
    "en": "You are {own}, one of several agents who share this work one after the other. After you comes:\n"
    "{others}\n{closing} It cannot write back to you.",
    "fr": "Tu es {own}, l'un des agents qui se partagent ce travail, l'un après l'autre. Après toi vient :\n"
    "{others}\n{closing} Il ne peut pas te répondre.",
}
_LAST = {
    "en": "You are {own}, the last of several agents who share this work one after the other. {closing}",
    "fr": "Tu es {own}, le dernier des agents qui se partagent ce travail, l'un après l'autre. {closing}",
}
_MEMBER = {"en": "- {name}: {about}", "fr": "- {name} : {about}"}
_GOES_TO = {
    "en": "What you say without calling a tool goes to {successor}.",
    "fr": "Ce que tu dis sans appeler d'outil va à {successor}.",
}
_ENDS = {
    "en": "What you say without calling a tool is the answer to the task, once no message is left to read.",
    "fr": "Ce que tu dis sans appeler d'outil est la réponse à la tâche, dès qu'il ne reste plus de message à lire.",
}
_SILENT = {
    "en": "What you say without calling a tool is heard by nobody.",
    "fr": "Ce que tu dis sans appeler d'outil n'est entendu de personne.",
}
_MESSAGE = {
    "en": "Message from {sender}:\n\n{text}",
    "fr": "Message de {sender} :\n\n{text}",
}


def agent_tools(scenario: Scenario, agent: str) -> tuple[str, ...]:
    """Return the toolkits and tools of an agent; in a team that of its messages is among them."""
    tools = scenario.agents[agent].tools
    return (*tools, TOOLKIT) if scenario.team and TOOLKIT not in tools else tools


class Colleague(TypedDict):
    """An agent as its colleagues know it."""

    about: str
    writes_to: list[str]


def members(scenario: Scenario, lang: str) -> dict[str, Colleague]:
    """Return the agents of a team as the toolkit of their messages knows them."""
    assert scenario.team is not None
    reached = links(scenario.team, tuple(scenario.agents))
    return {
        name: {
            "about": in_language(agent.about, lang) if agent.about else "",
            "writes_to": list(reached[name]),
        }
        for name, agent in scenario.agents.items()
    }


def briefing(scenario: Scenario, agent: str, lang: str) -> str:
    """Return what an agent learns of its team, in its system prompt."""
    assert scenario.team is not None
    agents = tuple(scenario.agents)
    known = members(scenario, lang)
    others = "\n".join(
        _phrase(_MEMBER, lang, name=name, about=known[name]["about"]).rstrip(" :")
        for name in known[agent]["writes_to"]
    )
    if to := successor(scenario.team, agents, agent):
        closing = _phrase(_GOES_TO, lang, successor=to)
    else:
        answers = agent == final_agent(scenario.team, agents)
        closing = _phrase(_ENDS if answers else _SILENT, lang)
    words = _BRIEFING
    if scenario.team == "pipeline":
        words = _IN_LINE if others else _LAST
    return _phrase(words, lang, own=agent, others=others, closing=closing)


def message_text(sender: str, text: str, lang: str) -> str:
    """Return a message as its recipient reads it."""
    return _phrase(_MESSAGE, lang, sender=sender, text=text)


def _phrase(words: Mapping[str, str], lang: str, **parts: str) -> str:
    return words.get(lang, words["en"]).format(**parts)
