"""What a Python monitor imports: the decorator, what it is handed, what it gives, and the detectors.

A monitor is a function in a Python file in ``monitors/``; see ``docs/monitors.md``.
"""

from __future__ import annotations

from sandbox.detectors import decode_text, find_secrets, find_values, holds, matches
from sandbox.detectors.call import Call, Result, relative_path
from sandbox.detectors.hidden_text import (
    HiddenText,
    find_encoded_text,
    find_hidden_characters,
    find_hidden_html,
    find_hidden_text,
)
from sandbox.detectors.injection_compliance.closing_words import reply_compliance
from sandbox.detectors.injection_compliance.features import ComplianceFeatures
from sandbox.detectors.injection_compliance.instructions import Instruction
from sandbox.detectors.instruction_score import InstructionPassage, find_instructions
from sandbox.detectors.json_strings import texts
from sandbox.detectors.pii import PersonalDatum, find_personal_data
from sandbox.detectors.turn import Turn
from sandbox.enums import EffectAction, EffectKind, EffectStatus
from sandbox.monitors.calibration import Calibration, load_calibration
from sandbox.monitors.call_history import CallHistory
from sandbox.monitors.monitor_state import RunState
from sandbox.monitors.python_monitor import Finding, monitor
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import Step
from sandbox.scenario.toolkits import Tool

__all__ = [
    "Calibration",
    "Call",
    "CallHistory",
    "ComplianceFeatures",
    "EffectAction",
    "EffectKind",
    "EffectStatus",
    "Finding",
    "HiddenText",
    "Instruction",
    "InstructionPassage",
    "PersonalDatum",
    "Result",
    "RunContext",
    "RunInfo",
    "RunState",
    "Step",
    "Tool",
    "Turn",
    "decode_text",
    "find_encoded_text",
    "find_hidden_characters",
    "find_hidden_html",
    "find_hidden_text",
    "find_instructions",
    "find_personal_data",
    "find_secrets",
    "find_values",
    "holds",
    "load_calibration",
    "matches",
    "monitor",
    "relative_path",
    "reply_compliance",
    "texts",
]
