"""What the fields of every event have in common: the base class and the types of loose values."""

from __future__ import annotations

import msgspec

Text = str | None
Number = int | float | None


class Details(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """The fields of one kind of event; every field may be missing."""
