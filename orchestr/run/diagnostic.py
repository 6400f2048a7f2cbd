"""What a look before a run found, for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding and how to fix it."""

    severity: str  # error | warning
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.what}\n  hint: {self.fix}"
