"""What a look before a run found, for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding and how to fix it; a note needs no fix."""

    severity: str  # error | warning | note
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.what}" + (f"\n  hint: {self.fix}" if self.fix else "")
