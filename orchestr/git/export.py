"""A checkout of exactly one commit in a folder of its own, for programs that must not share ours.

It is a repository whose objects are those of another one, read only: nothing is copied but the
files, nothing is registered in the other one, and the folder can be deleted at any time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestr.git.repo import Repo

SHA256 = 64  # hexadecimal digits


def export_commit(
    source: Repo, commit: str, folder: Path, *, refs: Mapping[str, str], origin: Path | None
) -> None:
    """Check out ``commit`` of ``source`` into the new ``folder``, with a detached HEAD.

    ``refs`` are further refs that it is to have, ``origin`` is what its remote means. No hooks
    run, LFS files stay pointers. Raises GitError, OSError; the folder may then hold a part.
    """
    folder.mkdir(parents=True)
    form = "sha256" if len(commit) == SHA256 else "sha1"
    tree = Repo(folder, config={"core.hooksPath": os.devnull}).without_lfs()
    tree.run_git("init", "--quiet", "--template=", f"--object-format={form}")
    common = source.common_dir()
    objects = folder / ".git" / "objects" / "info"
    objects.mkdir(parents=True, exist_ok=True)
    (objects / "alternates").write_bytes(os.fsencode(common / "objects") + b"\n")
    with suppress(FileNotFoundError):
        shutil.copyfile(common / "shallow", folder / ".git" / "shallow")
    if origin is not None:
        tree.run_git("remote", "add", "origin", str(origin))
    for ref, sha in refs.items():
        tree.run_git("update-ref", ref, sha)
    tree.run_git("checkout", "--quiet", "--detach", commit)
