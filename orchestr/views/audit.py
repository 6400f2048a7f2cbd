"""The audit of a feature as the renderings get it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PASSED = "passed"


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding. ``fate`` is what becomes of it, ``owners`` answer for it."""

    source: str
    statement: str
    state: str
    detail: str = ""
    evidence: str = ""
    places: tuple[str, ...] = ()
    fate: str = "none"
    owners: tuple[str, ...] = ()
    why: str = ""

    @property
    def outcome(self) -> str:
        """What becomes of it, for people; empty for one that passed."""
        if self.fate == "none":
            return ""
        who = f" ({', '.join(self.owners)})" if self.owners else ""
        words = self.fate.replace("_", " ")
        return f"{words}{who}{f': {self.why}' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """What the audit came to. ``verdict`` "": not made for the heads as they are now.

    ``cap`` says why it is partial at best, ``stop`` why no further repair was tried, ``rounds``
    how many times its series sent work back.
    """

    verdict: str = ""
    summary: str = ""
    cap: str = ""
    stop: str = ""
    rounds: int = 0
    at: str = ""
    findings: tuple[FindingLine, ...] = ()

    @property
    def is_red(self) -> bool:
        """Whether it was made for what is there now, and is not green."""
        return self.verdict not in ("", PASSED)

    @property
    def open_findings(self) -> tuple[FindingLine, ...]:
        """Those that did not pass."""
        return tuple(one for one in self.findings if one.state != PASSED)

    def redacted(self, hide: Callable[[str], str]) -> AuditFacts:
        """Without what must not be shown."""
        found = tuple(
            replace(one, statement=hide(one.statement), detail=hide(one.detail),
                    evidence=hide(one.evidence), why=hide(one.why))
            for one in self.findings
        )  # fmt: skip
        return replace(self, findings=found, summary=hide(self.summary))
