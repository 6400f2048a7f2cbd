"""What a phase did: made its result, or found that it was there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """``made`` is False when the phase returned at once or only restored a file."""

    made: bool
    why: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def kept(cls) -> Result:
        return cls(False)

    @classmethod
    def built(cls, why: str, **data: Any) -> Result:
        return cls(True, why, data)
