"""The orders in which names and imports are sorted, and their union."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from orchestr.landing.resolve.tree import Block, Item, move_item

Order = Callable[[str], tuple[str, ...]]


def _rank_case(text: str) -> str:
    """Constants, then classes, then the rest, as isort and ruff sort names."""
    return "0" if text.isupper() and len(text) > 1 else "1" if text[:1].isupper() else "2"


_ORDERS: tuple[Order, ...] = (
    lambda text: (text,),
    lambda text: (text.lower(),),
    lambda text: (text.strip("\"'`").lstrip(".").lower(), text),
    lambda text: (_rank_case(text), text),
    lambda text: (_rank_case(text), text.lower()),
)


def find_order(*lists: Sequence[str]) -> Order | None:
    """The order that all these lists are in, as a key to sort by; None where there is none, or no
    list of two."""
    if all(len(texts) < 2 for texts in lists):
        return None
    for order in _ORDERS:
        if all(list(texts) == sorted(texts, key=order) for texts in lists):
            return order
    return None


_OPTION_OR_NUMBER = re.compile(r"[rbuf]{0,2}[\"'`]?(?:-|\+?\d[\d.]*(?:\W|$))")


def may_be_command(texts: Iterable[str]) -> bool:
    """Whether a list may be the words of a command, as an option or a number among them shows:
    there the same word twice means two things."""
    return any(_OPTION_OR_NUMBER.match(text) for text in texts)


def sort_imports(merged: list[Item], versions: Sequence[Block]) -> list[Item]:
    """The lines of an import list, sorted where all versions are and nothing parts them."""
    order = find_order(*([item.key for item in block.items] for block in versions))
    leads = {item.lead for item in merged}
    if order is None or len(leads) != 1 or leads.pop().strip():
        return merged
    return sorted(merged, key=lambda item: order(item.key))


def union_imports(ours: list[Item], theirs: list[Item]) -> list[Item]:
    """Both sides' import lines, none of which is the same; sorted where each side's are."""
    everything = [*ours, *theirs]
    plain = all("\n" not in item.lead for item in (*ours[1:], *theirs[1:]))
    same = ours[0].lead == theirs[0].lead and all(item.end.endswith("\n") for item in everything)
    order = find_order([item.key for item in everything]) or find_order(
        *([item.key for item in items] for items in (ours, theirs))
    )
    if len(ours) == 1 == len(theirs):
        order = _ORDERS[0]
    if not plain or not same or order is None:
        return everything
    everything.sort(key=lambda item: order(item.key))
    first = ours[0].lead
    indentation = first.rpartition("\n")[2]
    return [
        move_item(item, first if at == 0 else indentation) for at, item in enumerate(everything)
    ]
