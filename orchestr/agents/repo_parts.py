"""Parts of a repository's settings of agents that are words for a model: skills, sub-agents, rules.

They are handed to an agent without the rest of the settings. Their headers can do more than say
what they are for (run hooks, start servers, allow tools), so only known fields of them are kept. A
link could lead anywhere: none is followed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestr.files import read_file, write_atomic

SKILL = "SKILL.md"
FIELDS = ("name", "description", "argument-hint", "disable-model-invocation", "user-invocable")
MOST_FILES = 500
MOST_BYTES = 1 << 20  # of a file that is read or copied


def read_header(text: str) -> tuple[Mapping[str, Any], str]:
    """The fields at the top of a Markdown file, between lines of `---`, and what follows them."""
    import yaml

    start, _, rest = text.partition("\n")
    head, mark, body = rest.partition("\n---")
    if start.strip() != "---" or not mark:
        return {}, text
    try:
        found = yaml.safe_load(head)
    except yaml.YAMLError:
        return {}, body.partition("\n")[2]
    return (found if isinstance(found, dict) else {}), body.partition("\n")[2]


def reduce_header(text: str, name: str) -> str:
    """A Markdown file with the harmless fields of its header; ``name`` where it has none."""
    fields, body = read_header(text)
    kept = {key: fields[key] for key in FIELDS if isinstance(fields.get(key), str | bool)}
    lines = [f"{key}: {json.dumps(value)}" for key, value in {"name": name, **kept}.items()]
    return "\n".join(["---", *lines, "---", body])


def find_part(worktree: Path, name: str) -> Path | None:
    """The file or folder ``name`` of a checkout; None where it is not there, or behind a link."""
    path = worktree.resolve() / name
    return path if path.exists() and path.resolve() == path else None


def list_files(folder: Path) -> Iterator[Path]:
    """The plain files below a folder of a repository, no links, in order."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from list_files(path)
        elif path.is_file():
            yield path


def copy_part(worktree: Path, name: str, target: Path) -> None:
    """Copy a folder of a checkout: Markdown files with reduced headers, other files as they are.

    Files that are too large, and those beyond the first few hundred, are left out.
    """
    source = find_part(worktree, name)
    if source is None:
        return
    for number, path in enumerate(list_files(source)):
        if number >= MOST_FILES or path.stat().st_size > MOST_BYTES:
            continue
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".md" or (path.name != SKILL and (path.parent / SKILL).exists()):
            shutil.copyfile(path, place)
            shutil.copymode(path, place)
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        usual = path.parent.name if path.name == SKILL else path.stem
        write_atomic(place, reduce_header(text, usual).encode())


def read_sub_agents(worktree: Path, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Description and prompt of the sub-agents in these folders of a checkout, by name."""
    found: dict[str, dict[str, str]] = {}
    for folder in filter(None, (find_part(worktree, name) for name in names)):
        for path in list_files(folder):
            if path.suffix == ".md" and path.stat().st_size <= MOST_BYTES:
                fields, body = read_header(path.read_text(encoding="utf-8", errors="replace"))
                what = fields.get("description")
                if isinstance(what, str):
                    found[path.stem] = {"description": what, "prompt": body.strip()}
    return found


def read_json_table(worktree: Path, name: str, key: str) -> dict[str, Any]:
    """The table ``key`` of a JSON file of a checkout; empty where there is none to read."""
    path = find_part(worktree, name)
    if path is None:
        return {}
    try:
        value = json.loads(read_file(path).decode("utf-8"))
    except (OSError, ValueError):
        return {}
    table = value.get(key) if isinstance(value, dict) else None
    return table if isinstance(table, dict) else {}
