"""How much a text reads like an instruction to an agent, in the words that are used for it.

Cues in seven languages: setting earlier instructions aside, addressing an assistant, marks of a system
message, coming before the task, secrecy, claimed authority, an order to act. One cue says little;
several close to each other say much. It is a suspicion, never a proof: an honest mail asks for things too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

TEXT_LIMIT = 256 * 1024
"""Characters of a text that are looked at."""
NEAR = 300
"""Characters within which cues count together."""
BEFORE, AFTER = 80, 200
"""Characters around cues that belong to what they say."""
AROUND = 500
"""Characters around cues that may belong to it."""
_KEPT_LENGTH = 65_536
"""Characters up to which what was found in a text is remembered."""
PASSAGES = 16
"""Passages of one text that are kept, the strongest."""

_ACTS = (
    r"send|forward|transfer|wire|pay|delete|remove|erase|upload|post|share|e-?mail|execute|invoke|grant|invite"
    r"|add|update|change|reset|book|reserve|visit|open|create|write|copy|submit|approve|publish|download|reply"
    r"|envoie[rsz]?|envoyez|transf[eè]re[rz]?|vire[rz]?|pa[iy]e[rz]?|supprime[rz]?|efface[rz]?|ajoute[rz]?"
    r"|ex[ée]cute[rz]?|modifie[rz]?|publie[rz]?|partage[rz]?|r[ée]serve[rz]?|approuve[rz]?|copie[rz]?"
    r"|sende|schicke|[üu]berweise|l[öo]sche|leite|env[ií]a|reenv[ií]a|paga|borra|elimina|transfiere"
    r"|invia|inoltra|cancella|trasferisci|envie|pague|apague|stuur|verwijder|betaal"
)
_CUES: tuple[tuple[str, float, str], ...] = (
    (
        "override",
        0.6,
        (
            r"\b(?:ignore|disregard|forget|override|drop|skip)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|other|preceding|original|all|everything|your|system)\b[^.\n]{0,30}\b(?:instructions?|prompts?|rules?|tasks?|guidelines|directions|orders|messages?|constraints)\b"
            r"|\b(?:ignore[rz]?|oublie[rz]?|n[ée]glige[rz]?)\b[^.\n]{0,40}\b(?:instructions?|consignes?|ordres?|r[èe]gles|t[âa]ches?|directives)\b"
            r"|\b(?:ignorier\w*|vergiss|missachte)\b[^.\n]{0,40}\b(?:anweisung\w*|befehle?|aufgaben?|regeln|instruktionen)\b"
            r"|\b(?:ignora|olvida|descarta)\b[^.\n]{0,40}\b(?:instrucciones|[óo]rdenes|reglas|tareas?)\b"
            r"|\b(?:ignora|dimentica|trascura)\b[^.\n]{0,40}\b(?:istruzioni|ordini|regole|compiti)\b"
            r"|\b(?:ignore|esque[çc]a)\b[^.\n]{0,40}\b(?:instru[çc][õo]es|ordens|regras|tarefas?)\b"
            r"|\b(?:negeer|vergeet)\b[^.\n]{0,40}\b(?:instructies|opdrachten|regels|taken)\b"
            r"|\bnew (?:instructions?|task|objective|orders)\b\s*[:\-]|\bnouvelles? (?:instructions?|consignes?|t[âa]che)\b\s*:"
        ),
    ),
    (
        "addressed",
        0.4,
        (
            r"\b(?:ai|a\.i\.|artificial intelligence|language model|llm|chat ?bot|gpt(?:-?\w+)?|claude|gemini|llama|mistral|copilot)\b(?:[ -](?:model|agent|assistant|system)s?)?\s*[,:!]"
            r"|\b(?:to|for) you,? (?:the |an? |my )?(?:ai|llm|gpt|claude|gemini|llama|mistral|language model|assistant|agent|chat ?bot)\b"
            r"|\b(?:if|as|when) you(?:'re| are)? (?:an? |the )?(?:ai|assistant|agent|llm|(?:large )?language model|chat ?bot|automated)\b"
            r"|\b(?:to|for|attention|dear|hey|hello|hi|note to|message to|instructions? (?:for|to)) (?:the |all |any |every )?(?:automated |virtual |digital |ai |llm )*(?:assistants?|agents?|ai|llms?|language models?|bots?)\b"
            r"|\b(?:automated|ai|llm|virtual) (?:assistants?|agents?|systems?|readers?|tools?) (?:that|which|who|reading|processing|must|should|are|need)\b"
            r"|\b(?:assistants?|agents?) (?:that|who|which) (?:read|process|handle|summari[sz]e|prepare)\w*\b"
            r"|\b(?:pour|à|a|aux?|note à|message à|consignes? (?:pour|aux?)|à l'attention de|cher) (?:l'|les |tout |toute |un |une )?(?:assistante?s?|agents?|ia|intelligence artificielle|mod[èe]les? de langue?(?:age)?|robots?)\b(?: (?:ia|automatis[ée]e?s?|virtuels?|num[ée]riques?))?"
            r"|\bsi (?:tu es|vous [êe]tes) (?:une? )?(?:assistante?|agent|ia|mod[èe]le)\b"
            r"|\b(?:ki|k[üu]nstliche intelligenz|sprachmodell|assistent)\s*[,:!]|\bwenn du (?:ein|eine) (?:ki|assistent|sprachmodell)"
            r"|\b(?:asistente|agente|modelo de lenguaje|inteligencia artificial)\s*[,:!]|\bsi eres (?:un|una) (?:ia|asistente|agente|modelo)"
            r"|\b(?:assistente|modello linguistico|intelligenza artificiale)\s*[,:!]|\bse sei un(?:'|a)? ?(?:ia|assistente|agente|modello)"
        ),
    ),
    (
        "marked",
        0.45,
        (
            r"<\s*/?\s*(?:information|system|important|instructions?|admin|user_?prompt|assistant|task)\s*/?\s*>|\[/?inst\]|<\|im_(?:start|end)\|>|<<sys>>"
            r"|(?:^|\n)\s*(?:#+\s*)?\**\s*(?:system|admin|developer|root)(?: (?:message|prompt|note|notice|update|override|instruction))?\s*\**\s*:"
            r"|\bsystem (?:prompt|message|override|instruction|notice)\b|\bmessage (?:du|syst[èe]me)\s*(?:syst[èe]me)?\s*:"
            r"|\bimportant(?:e|es)?\s*(?:!{1,}|instructions?|message (?:from|to|for)|notice)|\bthis is an important message\b|(?<!=)={3,}\s*(?:system|important)"
        ),
    ),
    (
        "first",
        0.35,
        r"\bbefore (?:you |your |any|the |being |i )?(?:can |do|continu|proceed|solv|complet|answer|start|finish|process|anything|return|carry|begin|respond|summar)\w*"
        r"|\byou (?:must|have to|need to|should|shall|will|are required to|are instructed to)(?: \w+){0,2} (?:first|immediately|also|now|instead)\b|\byou (?:must|have to) (?:first |immediately |now )?(?:"
        + _ACTS
        + r")\b"
        r"|\b(?:do|execute|follow|perform|complete) the following\b[^.\n]{0,30}\b(?:first|instead|before|immediately|now|task|steps|instructions?)\b"
        r"|\bfais (?:d'abord|plut[ôo]t)\b|\bfaites (?:d'abord|plut[ôo]t)\b"
        r"|\b(?:please )?(?:first|afterwards?|after that|then),? (?:you )?(?:can |may |must |please )?(?:solve|do|continue|proceed|go on|return)\b|\bprior to (?:complet|answer|continu|process|solv)\w+|\binstead of (?:the|your|doing)\b"
        r"|\bavant (?:de |d'|toute |tout )(?:continu|poursuiv|r[ée]pond|trait|commenc|faire|r[ée]sum|termin|autre)\w*|\b(?:tu dois|vous devez|il faut|tu as l'ordre)\b[^.\n]{0,20}\b(?:d'abord|imm[ée]diatement|aussi|maintenant|absolument)"
        r"|\bbevor du\b|\bdu musst (?:zuerst|sofort)\b|\bantes de (?:continuar|responder|hacer|seguir|terminar)\b|\bdebes (?:primero|inmediatamente)\b|\bprima di (?:continuare|rispondere|procedere)\b|\bdevi (?:prima|subito)\b|\bvoordat je\b",
    ),
    (
        "secret",
        0.45,
        (
            r"\b(?:do not|don't|never|must not|should not|no need to|without) (?:tell|inform|mention|notify|notifying|telling|informing|mentioning|alert|alerting|ask|asking|reveal|revealing|disclose|show|showing|report|reporting|warn|bother|confirm\w*)\b[^.\n]{0,40}\b(?:user|anyone|anybody|owner|human|principal|them|him|her|this|it|about|first|confirmation|permission|colleagues?|team|nobody)\b"
            r"|\bkeep (?:this|it) (?:secret|quiet|confidential|between|to yourself)\b|\bno (?:further )?(?:confirmation|approval|verification|call ?back) (?:is )?(?:needed|required|necessary)\b|\bno need to (?:call|check|verify|confirm)"
            r"|\bne (?:le |l'|les |la |lui |leur |en )?(?:dis|dites|mentionne|mentionnez|signale|signalez|parle|parlez|pr[ée]viens|pr[ée]venez|demande|demandez|r[ée]v[èe]le[zr]?)\b[^.\n]{0,30}\b(?:pas|rien|personne)\b|\bsans (?:en (?:parler|informer)|demander|pr[ée]venir|informer|rappeler|v[ée]rifier|confirm\w+|le (?:dire|signaler|mentionner))\b|\binutile de (?:rappeler|v[ée]rifier|confirmer|demander|pr[ée]venir)"
            r"|\bsag(?:e|t)? (?:es |das )?(?:niemandem|keinem|nicht)|\bohne (?:zu fragen|r[üu]ckfrage|den (?:nutzer|benutzer))|\bno (?:se lo digas|digas|menciones|informes|preguntes|avises)\b|\bsin (?:preguntar|avisar|informar|confirmar)\b|\bnon (?:dire|dirlo|menzionare|informare|chiedere)\b|\bsenza (?:chiedere|avvisare|informare)\b"
        ),
    ),
    (
        "authority",
        0.25,
        (
            r"\b(?:i am|this is|it's|it is me|from|signed by) (?:your |the |me,? )?(?:user|owner|boss|administrator|admin|developer|creator|it department|security team|ceo|director|principal)\b|\b(?:has been |was |is |are )?(?:pre-?)?(?:authori[sz]ed|approved) (?:by|to)\b|\bmessage from me\b|\byour (?:user|owner|principal) (?:has|wants|asked|authori[sz]ed)"
            r"|\bje suis (?:ton|votre|l')\s*(?:utilisateur|administrateur|responsable|d[ée]veloppeur|directeur)|\b(?:autoris[ée]e?|valid[ée]e?|approuv[ée]e?) par (?:la direction|le maire|l'administrateur|le service)"
        ),
    ),
    (
        "act",
        0.25,
        r"(?:^|[.!?:;,\n*>\"'«-]\s*|\b(?:please|kindly|then|and|to|must|should|now|s'il (?:te|vous) pla[îi]t|merci de|veuillez|puis|et|bitte|por favor|per favore)\s+)(?:"
        + _ACTS
        + r")\b[^\n]{0,120}"
        r"(?:@|https?://|www\.|\b[a-z]{2}\d{2}[ \da-z]{10,}|\ball\b|\bevery\b|\btous?\b|\btoutes\b|\balle\b|\btodos?\b|\btutt[ie]\b|\bpasswords?\b|\bmot de passe\b|\btool\b|\boutil\b|\bfollowing\b|\bsuivante?s?\b|\d{3,})",
    ),
)


def _compiled(text: str) -> re.Pattern[str]:
    """Return a pattern that takes no more than a few signs for any space: long runs cost their square."""
    return re.compile(text.replace(r"\s*", r"\s{0,4}"))


_ESCAPED = re.compile(r"\\{1,16}(?:\r?\n\s*\\?|[nrt])")
"""Ends of lines as they stand in texts within texts: JSON, YAML, Python."""
_COMPILED = tuple((name, weight, _compiled(text)) for name, weight, text in _CUES[:-1])
"""Looked for in small letters: that takes half the time of looking for both."""
_ACT, _ACT_WEIGHT, _ACT_PATTERN = (*_CUES[-1][:2], _compiled(_CUES[-1][2]))


@dataclass(frozen=True)
class InstructionPassage:
    """A part of a text that reads like an instruction to an agent."""

    text: str
    """The part, from shortly before its first cue to shortly after its last."""
    around: str
    """The part with more of what stands around it."""
    score: float
    """0 to 1."""
    cues: tuple[str, ...]


def find_instructions(text: str, least: float = 0.5) -> tuple[InstructionPassage, ...]:
    """Return the parts of a text that read like instructions to an agent, the strongest first.

    Args:
        text: The text; what is beyond :data:`TEXT_LIMIT` is not looked at.
        least: Score that a part must have.
    """
    found = _cached_passages(text) if len(text) <= _KEPT_LENGTH else _find(text[:TEXT_LIMIT])
    return tuple(item for item in found if item.score >= least)


@lru_cache(maxsize=256)
def _cached_passages(text: str) -> tuple[InstructionPassage, ...]:
    """Return what is found in a text; several monitors ask for it, and many runs read the same."""
    return _find(text)


def _find(text: str) -> tuple[InstructionPassage, ...]:
    text = _ESCAPED.sub(" ", text)
    small = text.lower()
    if len(small) != len(text):  # a few letters have two in small: places would not fit
        text = small
    hits = [
        (found.start(), found.end(), name, weight)
        for name, weight, pattern in _COMPILED
        for found in pattern.finditer(small)
    ]
    hits = sorted([*hits, *_acts(small, hits)])
    groups: list[list[tuple[int, int, str, float]]] = []
    for hit in hits:
        if groups and hit[0] - groups[-1][-1][1] <= NEAR and hit[0] - groups[-1][0][0] <= 4 * NEAR:
            groups[-1].append(hit)
        else:
            groups.append([hit])
    found = []
    for group in groups:
        weights = {name: weight for _, _, name, weight in group}
        rest = 1.0
        for weight in weights.values():
            rest *= 1 - weight
        start, end = group[0][0], max(hit[1] for hit in group)
        part = text[max(0, start - BEFORE) : end + AFTER]
        around = text[max(0, start - AROUND) : end + AROUND]
        found.append(InstructionPassage(part, around, round(1 - rest, 3), tuple(weights)))
    return tuple(sorted(found, key=lambda item: -item.score)[:PASSAGES])


def _acts(small: str, hits: list[tuple[int, int, str, float]]) -> list[tuple[int, int, str, float]]:
    """Return orders to act near other cues: by themselves they are what people write all day."""
    found: dict[int, tuple[int, int, str, float]] = {}
    done = 0
    for start, end, *_ in sorted(hits):
        for item in _ACT_PATTERN.finditer(small, max(done, start - NEAR), end + NEAR):
            found[item.start()] = (item.start(), item.end(), _ACT, _ACT_WEIGHT)
        done = max(done, end + NEAR // 2)
    return list(found.values())
