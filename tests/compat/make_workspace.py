"""Makes `houses/NAME.tar.xz` and what today's version says of them, `houses/NAME.told.json`.

    python -m tests.compat.make_workspace FOLDER [NAME ...]

Builds the workspaces of `houses.py` in a temporary folder with the package of this checkout, asks
it about them (`ask`), packs them (`archive.py`), unpacks each elsewhere, lets the same version go
on there and keeps what came of it (`goes_on`). It takes ten minutes and git, sh, python3.

It works with orchestr 0.1.0 (the commit is named in README.md): it calls its settings and its
landing's steps by their names of then. What it made is committed and never made again for a later
version; a later one gets archives of its own, made by an adapted copy.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from orchestr.config import load_settings
from orchestr.spec.reader import read_all
from tests.compat import houses
from tests.compat.archive import PLACE, Digest, pack, repositories, unpack
from tests.compat.asking import ask, goes_on

LANDINGS = ("yard", "pushed")


def digests_of(root: Path) -> list[Digest]:
    """Every digest that the path of the workspace entered: of markers, where the settings give a
    repository's path, and the names of the pictures of clones.
    """
    settings = load_settings(root, {})
    found = []
    for spec in read_all(settings).features.values():
        for cell in spec.cells:
            repo = settings.repo(cell.repo)
            if repo.path is None:
                continue
            base, kit = (
                (cell.base or repo.base, cell.track_base),
                (repo.setup, repo.link, repo.copy),
            )
            parts = ("worktree", cell.repo, str(repo.path), cell.branch, base, kit)
            found.append(_json_digest(root, parts))
    for repo in repositories(root):
        found.append(_digest(root, str(repo), 16))
    return list({one.value: one for one in found}.values())


def _json_digest(root: Path, parts: tuple[Any, ...]) -> Digest:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _digest(root, text, 20)


def _digest(root: Path, text: str, length: int) -> Digest:
    text = text.replace(str(root), PLACE)
    return Digest(Digest("0" * length, text).at(str(root)), text)


def seal(home: Path) -> None:
    """This process, too, sees nothing of this machine's git settings."""
    for name in [n for n in os.environ if n.startswith(("GIT_", "ORCHESTR_"))]:
        del os.environ[name]
    env = houses.neutral(home)
    os.environ.update({name: env[name] for name in env if name.startswith(("GIT", "HOME", "USER"))})


def make(name: str, target: Path, place: Path) -> None:
    """One workspace, packed."""
    root = place / name
    ws = houses.HOUSES[name](root)
    ws.quiet()
    for rest in root.glob("spawned-*"):
        rest.unlink()
    told = ask(ws, houses.FEATURES[name])
    pack(root, target / f"{name}.tar.xz", digests_of(root))
    shutil.rmtree(root)  # whoever still knows this place fails from here on
    told["then"] = {feature: tell_then(target, name, feature) for feature in houses.FEATURES[name]}
    text = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False)
    (target / f"{name}.told.json").write_text(text + "\n", encoding="utf-8")


def tell_then(target: Path, name: str, feature: str) -> dict[str, Any]:
    """What comes of one more command, in a copy elsewhere."""
    with tempfile.TemporaryDirectory(prefix="elsewhere-") as place:
        again = Path(place) / "copied" / name
        unpack(target / f"{name}.tar.xz", again)
        made = houses.Land if name in LANDINGS else houses.Made
        copy = made(again)
        found = goes_on(copy, feature, land=name in LANDINGS)
        copy.quiet()
        return found


def main(target: Path, names: list[str]) -> None:
    """All of them, or those that are named."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="house-") as place:
        seal(Path(place))
        for name in names or list(houses.HOUSES):
            make(name, target, Path(place))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
