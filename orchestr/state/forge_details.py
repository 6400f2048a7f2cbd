"""What events say of a forge that does not answer, or not yet."""

from __future__ import annotations

from orchestr.state.detail_fields import Details, Number, Text


class ForgeUnreachable(Details, frozen=True, tag="forge.away"):
    repo: Text = None
    reason: Text = None
    hint: Text = None


class ForgeWaits(Details, frozen=True, tag="forge.waits"):
    """A forge lets us wait: its quota is used up."""

    host: Text = None
    reason: Text = None
    wait_s: Number = None
