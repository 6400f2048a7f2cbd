"""Whether the hooks that judge a commit's message would take one, before there is a commit.

`prepare-commit-msg` may complete the message (a key from the branch's name), `commit-msg` judges
it; both run as git runs them, in the worktree, on a file that is thrown away.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from orchestr.git.errors import output_tail
from orchestr.git.hooks import list_hooks
from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT, split_records
from orchestr.process.run import ProcessTimeout

TIMEOUT = 60.0  # s; a hook that needs longer (it installs its tools) is judged by the commit itself


def explain_refused_message(repo: Repo, message: str) -> str | None:
    """What the hooks say against ``message``; None when they take it, or there are none."""
    if not has_message_hooks(repo):
        return None
    with tempfile.TemporaryDirectory(prefix="orchestr-message-") as folder:
        file = Path(folder) / "COMMIT_EDITMSG"
        file.write_text(f"{message}\n", encoding="utf-8")
        for hook, *more in (("prepare-commit-msg", "message"), ("commit-msg",)):
            words = ("hook", "run", "--ignore-missing", hook, "--", str(file), *more)
            try:
                done = repo.as_committer().run_git(*words, answers=ANY_EXIT, timeout=TIMEOUT)
            except ProcessTimeout:
                return None
            if done.code != 0:
                return f"{hook}: {output_tail(done.err + done.out) or f'exit {done.code}'}"
    return None


def try_message_beside(repo: Repo, commit: str, message: str) -> str | None:
    """The same without a worktree: in an empty folder with the files that lie at the top of
    ``commit``, where hooks find their settings. The clone's own checkout is not touched (such
    hooks may put a person's changes aside). What needs more than that may be refused for nothing.
    """
    with tempfile.TemporaryDirectory(prefix="orchestr-hooks-") as name:
        folder = Path(name, "tree")
        folder.mkdir()
        env = {
            "GIT_DIR": str(repo.common_dir()),
            "GIT_WORK_TREE": str(folder),
            "GIT_INDEX_FILE": str(Path(name, "index")),
        }
        beside = repo.at_path(folder, env=env)
        listed = split_records(beside.run_readonly("ls-tree", "-z", f"{commit}^{{tree}}").out)
        files = [line.partition("\t")[2] for line in listed if line.startswith("100")]
        if files:
            beside.run_git("read-tree", commit)
            beside.without_lfs().run_git(
                "checkout-index", "--quiet", "--", *files, answers=ANY_EXIT
            )
        return explain_refused_message(beside, message)


def has_message_hooks(repo: Repo) -> bool:
    """Whether a hook of the clone (or of `core.hooksPath`) looks at messages."""
    return not list_hooks(repo).keys().isdisjoint(("prepare-commit-msg", "commit-msg"))
