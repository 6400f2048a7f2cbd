"""What events beside a landing say: what holds it up, lets it go on, or takes it in
(`orchestr.state.event_details`)."""

from __future__ import annotations

from orchestr.state.detail_fields import Details, Text


class LandWaits(Details, frozen=True, tag="land.waits"):
    """It is red because of another cell, ``cause`` (`feature:cell`), and waits for its landing."""

    cause: Text = None
    reason: Text = None


class LandKept(Details, frozen=True, tag="land.kept"):
    """What has landed stays as it landed: a repair that another cell needed has failed."""

    target: Text = None
    commit: Text = None
    head: Text = None
    reason: Text = None


class LandAllowed(Details, frozen=True, tag="land.allowed"):
    """A person lets the feature land in spite of red cross checks or a red audit. ``user``: who."""

    reason: Text = None
    user: Text = None


class LandUpdate(Details, frozen=True, tag="land.update"):
    """Its branch takes the new target in."""

    old: Text = None
    new: Text = None
