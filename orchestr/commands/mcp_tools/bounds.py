"""What leaves the server: no secret, and no more than an agent can read.

Pure. Lists lose their end and texts their middle, the largest first, until the answer fits; what
was left off is counted in `left_off`, so no reader takes a part for the whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

MOST_ANSWER = 60_000  # characters of JSON: some 15,000 tokens
MOST_TEXT = 20_000  # characters of one text
FEWEST = 200  # characters of a text that is not cut further
CUT = "\n[... left off ...]\n"


def render_json(value: Any) -> str:
    """Compact JSON, as it goes to the client."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with every text in it changed, names of fields too (a copy)."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(str(key)): map_texts(one, change) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [map_texts(one, change) for one in value]
    return value


def bound_answer(value: dict[str, Any], most: int = MOST_ANSWER) -> dict[str, Any]:
    """A copy of ``value`` that is at most ``most`` characters of JSON where cutting can do that."""
    answer: dict[str, Any] = map_texts(value, str)
    left: dict[str, int] = {}
    for path, text in list(_walk(answer, str)):
        if len(text) > MOST_TEXT:
            _cut_text(answer, path, MOST_TEXT, left)
    room = most - 1_000  # for what `left_off` takes
    while (excess := len(render_json(answer)) - room) > 0:
        lists = [(len(render_json(one)), path) for path, one in _walk(answer, list) if len(one) > 1]
        texts = [(len(text), path) for path, text in _walk(answer, str) if len(text) > FEWEST]
        if not lists and not texts:
            break
        if lists and (not texts or max(lists)[0] >= max(texts)[0]):
            _cut_list(answer, *max(lists), excess, left)
        else:
            size, path = max(texts)
            _cut_text(answer, path, max(size // 2, size - excess - len(CUT), FEWEST), left)
    if left:
        answer["left_off"] = dict(sorted(left.items(), key=lambda item: -item[1])[:10])
    return answer


def _walk(value: Any, kind: type, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Every part of that type below ``value``, with its path."""
    items: Iterator[tuple[Any, Any]]
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    else:
        return
    for key, one in items:
        here = (*path, key)
        if isinstance(one, kind):
            yield here, one
        yield from _walk(one, kind, here)


def _cut_list(
    answer: Any, size: int, path: tuple[Any, ...], excess: int, left: dict[str, int]
) -> None:
    """Shorten a list of ``size`` characters by about ``excess``, by half at most: what is the
    largest may be another one then. Parts that fall away are forgotten in ``left``."""
    found = _parent_of(answer, path)[path[-1]]
    count = len(found)
    kept = max((count + 1) // 2, count - 1 - excess * count // size)
    kept = min(kept, count - 1)
    name = _name_of(path)
    left[name] = left.get(name, 0) + count - kept
    for index in range(kept, count):
        gone = f"{name}.{index}."
        for key in [key for key in left if key.startswith(gone)]:
            del left[key]
    del found[kept:]


def _cut_text(answer: Any, path: tuple[Any, ...], most: int, left: dict[str, int]) -> None:
    """Leave off the middle of a text: its beginning says what it is, its end how it ended."""
    parent, key = _parent_of(answer, path), path[-1]
    text = parent[key]
    keep = max(most - len(CUT), 2) // 2
    name = _name_of(path)
    left[name] = left.get(name, 0) + len(text) - 2 * keep
    parent[key] = text[:keep] + CUT + text[-keep:]


def _parent_of(answer: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        answer = answer[key]
    return answer


def _name_of(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))
