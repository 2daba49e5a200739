"""What was found of a pack or a statement when it was verified."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from securesystemslib.signer import SSlibKey

from sandbox.attestation.in_toto import Attestation
from sandbox.trace.labels import Label
from sandbox.trace.verify import Verification


@dataclass
class AttestationReport:
    """What was found of a pack or a statement."""

    path: Path
    signature: Literal["valid", "unknown", "missing", "wrong"] = "missing"
    """``valid`` (by the key that was given), ``unknown`` (sound, by a key that nobody vouches for),
    ``missing`` or ``wrong``."""
    signer: str = ""
    """Id of the key that signed it."""
    problems: list[str] = field(default_factory=list)
    """Each begins with the file or run that it is about."""
    runs: list[Verification] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    """What is said of the runs, beside the evidence."""
    restored: int = 0
    """On import: labels that were set."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and all(run.ok for run in self.runs)

    def check_signature(self, attestation: Attestation[Any], key: SSlibKey | None) -> None:
        """Find who signed a statement; ``key`` must have, if there is one."""
        self.problems += attestation.problems
        where = f"{attestation.signature_file}: " if attestation.signature_file else ""
        if attestation.signer is None:
            if key is not None or attestation.predicate.signed_by is not None:
                self.problems.append(f"{where}the signature is missing")
            return
        try:
            self.signer = attestation.signer(key).keyid
        except ValueError as error:
            self.signature = "wrong"
            self.problems.append(f"{where}{error}")
        else:
            self.signature = "unknown" if key is None else "valid"
