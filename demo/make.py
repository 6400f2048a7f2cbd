"""Make one of the demo's four repositories: `python3 demo/make.py REPO DEST`.

Owns what lies in DEST: `origins/<repo>.git`, a bare origin, and `<repo>`, a clone of it. The
contents are the files in `demo/content/`. Identity, dates and git settings are pinned, so
every machine gets the same hashes. Python's standard library and git are all it needs.

Crash safety: both are built in a scratch folder and renamed into place, origin first. So
an existing repository is complete, and is never changed again, whatever a person did to it. The
scratch folders that a killed run left are removed under the lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

CONTENT = Path(__file__).resolve().parent / "content"
# The stubs that an SDK repository vendors: (file of the platform, path in the repository).
VENDORED = {
    "java-sdk": ("gen/java/Objects.java", "sdk/proto/Objects.java"),
    "web-sdk": ("gen/js/objects.js", "lib/gen/objects.js"),
}
REPOS = ("platform", "java-sdk", "web-sdk", "tests")
# The commits of a person on the feature's branch of `tests`: (folder of content, subject).
BRANCH = "DSPX-2399-tests"
BRANCH_COMMITS = (
    ("tests.1", "test(xtest): name mechanism-mlkem and its algorithm (DSPX-2399)"),
    ("tests.2", "test(xtest): dormant round trip for ML-KEM-768 (DSPX-2399)"),
)
PERSON = "Tess Terr <tess@example.invalid>"


def git(*args: str, cwd: Path, minute: int = 0, author: str | None = None) -> str:
    """Run git with nothing of the caller's settings in it, and return its stdout."""
    date = f"2026-05-18T09:{minute:02d}:00+00:00"
    name, _, email = (author or "Demo <demo@example.invalid>").rstrip(">").partition(" <")
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": email, f"GIT_{role}_DATE": date}
    done = subprocess.run(
        ["git", "-c", "core.autocrlf=false", "-c", "core.fileMode=false", *args],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"demo: git {' '.join(args)} in {cwd} failed:\n{done.stderr}")
    return done.stdout


def lay(folder: str, into: Path) -> None:
    """Copy a folder of content over `into`, leaving out what python may have cached there."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CONTENT / folder, into, dirs_exist_ok=True, ignore=ignore)


def lay_base(repo: str, into: Path, scratch: Path) -> None:
    """The files of the first commit: those of the content and what is generated from them."""
    lay(repo, into)
    platform = into
    if repo in VENDORED:
        platform = scratch / "platform"
        lay("platform", platform)
    if repo == "platform" or repo in VENDORED:
        generate = [sys.executable, str(platform / "tools" / "generate.py")]
        subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)
    if repo in VENDORED:
        source, target = VENDORED[repo]
        (into / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(platform / source, into / target)


def make_origin(repo: str, origin: Path, scratch: Path) -> None:
    """A bare origin whose branch main has one commit; in place by one rename."""
    work, bare = scratch / "work", scratch / "origin.git"
    work.mkdir()
    lay_base(repo, work, scratch)
    git("init", "--quiet", "--template=", "--initial-branch=main", cwd=work)
    git("add", "--all", "--force", cwd=work)
    git("commit", "--quiet", "--message", f"feat: {repo} in miniature", cwd=work)
    git("init", "--quiet", "--template=", "--bare", "--initial-branch=main", str(bare), cwd=work)
    git("push", "--quiet", str(bare), "main", cwd=work)
    origin.parent.mkdir(parents=True, exist_ok=True)
    bare.rename(origin)


def make_clone(repo: str, origin: Path, clone: Path, scratch: Path) -> None:
    """A clone with an identity of its own (a bare machine has none); in place by one rename."""
    work = scratch / "clone"
    # The URL is absolute: git resolves a relative one against each worktree.
    git("clone", "--quiet", "--template=", str(origin), str(work), cwd=scratch)
    git("config", "user.name", "Demo", cwd=work)
    git("config", "user.email", "demo@example.invalid", cwd=work)
    if repo == "tests":
        if git("ls-remote", "origin", f"refs/heads/{BRANCH}", cwd=work):
            # An earlier clone pushed it: go on from there.
            git("checkout", "--quiet", BRANCH, cwd=work)
        else:
            git("checkout", "--quiet", "-b", BRANCH, cwd=work)
            for minute, (folder, subject) in enumerate(BRANCH_COMMITS, start=1):
                lay(folder, work)
                git("add", "--all", cwd=work)
                args = ("commit", "--quiet", "--message", subject)
                git(*args, cwd=work, minute=minute, author=PERSON)
    work.rename(clone)


def make(repo: str, dest: Path) -> bool:
    """Make what is missing of `repo` in `dest`; False when nothing was."""
    dest.mkdir(parents=True, exist_ok=True)
    origin, clone = dest / "origins" / f"{repo}.git", dest / repo
    scratch = dest / f".making-{repo}"
    with (dest / f".making-{repo}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(scratch, ignore_errors=True)
        if (clone / ".git").exists():
            if not origin.is_dir():
                raise SystemExit(
                    f"demo: {clone} is there, but its origin {origin} is gone\n"
                    f"hint: keep what you need of {clone}, remove it and run this again"
                )
            return False
        if clone.exists() and (not clone.is_dir() or any(clone.iterdir())):
            raise SystemExit(f"demo: {clone} is in the way\nhint: move it elsewhere")
        scratch.mkdir()
        try:
            if not origin.is_dir():
                make_origin(repo, origin, scratch)
            make_clone(repo, origin, clone, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return True


def main(args: list[str]) -> int:
    if len(args) != 2 or args[0] not in REPOS:
        print(f"usage: make.py {{{'|'.join(REPOS)}}} DEST", file=sys.stderr)
        return 2
    repo, dest = args[0], Path(args[1]).resolve()
    made = make(repo, dest)
    print(f"demo: {'made' if made else 'already there:'} {dest / repo}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
