"""A change in the merge queue and how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestr.landing.causes import Cause
from orchestr.landing.events import LandingChange, Stage, Trouble


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A change and how far it is. ``seq``: when it became eligible, ``wave``: how many candidates
    had been made by then; ``limit``: the most changes in a candidate with it (0: the rules');
    ``tidy``: Landed, Retargeted, Verified as 0, 1, 2.
    """

    change: LandingChange
    stage: Stage = Stage.WAITING
    seq: int = 0
    wave: int = 0
    repairs: int = 0
    limit: int = 0
    trouble: Trouble | None = None
    detail: str = ""
    before: str = ""
    after: str = ""
    tidy: int = 2
    frozen: bool = False  # its group is not asked for in this process
    undone: str = ""  # the head that was rolled back: it lands again only when asked to
    first: str = ""  # the target before the first landing of what was rolled back
    again: str = ""  # the head that a person asked to land again
    landed: str = ""  # the head that landed before this one
    earlier: tuple[tuple[str, str], ...] = ()  # the target before and after those landings
    blames: Cause | None = None  # it is tried again when that has landed with another head
    blame_failed: str = ""  # why that does not come
    cause: str = ""  # the change that made it red, when it was left to a person

    @property
    def is_repair_of_landed(self) -> bool:
        """Whether it has landed, and its agent works on what another change was red for."""
        return self.stage is Stage.REPAIRING and self.landed == self.change.head != ""

    def with_new_work(self) -> QueueItem:
        """A landed change to which work is added: what it landed as is kept."""
        earlier = (*self.earlier, (self.before, self.after)) if self.after else self.earlier
        return replace(self, landed=self.change.head, earlier=earlier, before="", after="")

    def as_it_landed(self) -> QueueItem:
        """A landed change again, to which no work was added."""
        before, after = self.earlier[-1] if self.earlier else ("", "")
        return replace(self, stage=Stage.LANDED, trouble=None, landed="", before=before,
                       after=after, earlier=self.earlier[:-1])  # fmt: skip


def sort_by_entry(items: Iterable[QueueItem]) -> list[QueueItem]:
    """The changes in the order in which they became eligible."""
    return sorted(items, key=lambda i: (i.seq, i.change.order, i.change.key))


def park_change(
    items: Mapping[str, QueueItem], key: str, trouble: Trouble, reason: str, cause: str = ""
) -> tuple[QueueItem, ...]:
    """It is left to a person; one that has landed stays landed. What waits for it waits no more."""
    item = replace(items[key], detail=reason, blames=None, blame_failed="", cause=cause)
    if item.is_repair_of_landed:
        item = item.as_it_landed()
    else:
        item = replace(item, stage=Stage.PARKED, trouble=trouble)
    why = reason.partition("\n")[0].rstrip(":") or "it was left to a person"
    behind = [one for one in items.values() if one.blames and one.blames.key == key]
    return (item, *(replace(one, blame_failed=why) for one in behind))


def is_under_way(
    items: Mapping[str, QueueItem], cause: Cause | None, groups: tuple[str, ...]
) -> bool:
    """Whether a cause is being repaired, or its new head is on its way, in these groups."""
    item = items.get(cause.key) if cause is not None else None
    if cause is None or item is None or item.change.group not in groups:
        return False
    on_its_way = item.stage in (Stage.QUEUED, Stage.WAITING) and item.change.head != cause.head
    return item.stage is Stage.REPAIRING or on_its_way


def has_landed_anew(items: Mapping[str, QueueItem], cause: Cause) -> bool:
    """Whether a cause has landed with another head than the one that was to blame."""
    item = items.get(cause.key)
    return item is not None and item.stage is Stage.LANDED and item.change.head != cause.head
