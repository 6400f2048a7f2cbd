"""What the events about a locked spec say; `orchestr.state.event_details` has the other kinds."""

from __future__ import annotations

from typing import Any

from orchestr.state.detail_fields import Details, Text


class SpecLocked(Details, frozen=True, tag="spec.locked"):
    """The feature has a lock: ``path`` is its file, ``locked`` the digest of what it holds."""

    path: Text = None
    locked: Text = None


class SpecChanged(Details, frozen=True, tag="spec.changed"):
    """A run goes by a spec of which free fields differ from the lock; ``digest`` names these
    changes."""

    fields: list[Any] | None = None
    digest: Text = None


class SpecAmended(Details, frozen=True, tag="spec.amended"):
    """Locked fields were amended; ``chain`` is the hash of the newest amendment."""

    fields: list[Any] | None = None
    who: Text = None
    reason: Text = None
    chain: Text = None
