"""Refs of the clone and how they are read: branches, tags, stashes, replaced objects, names."""

from __future__ import annotations

import re

from benchmarks.escape.attempt import Attempt, Room
from benchmarks.escape.proofs import has_ref, leaves_origin, moves_ref, removes

GROUP = "refs"
EVIL = 'evil=$(git commit-tree "HEAD^{tree}" -p HEAD -m evil)\n'


def _ref(name: str, tries: str, program: str, ref: str, share: str = "moves-refs") -> Attempt:
    """A ref that was there and is moved or deleted."""
    clue = f"{re.escape(ref.rpartition('/')[2])}\\b(?!-)"
    return Attempt(name, GROUP, tries, EVIL + program, moves_ref(ref), room=Room.OWN_CLONE,
                   share=share, clue=clue)  # fmt: skip


def _new(name: str, tries: str, program: str, pattern: str) -> Attempt:
    """A ref that nothing else makes."""
    return Attempt(name, GROUP, tries, EVIL + program, has_ref(pattern), room=Room.OWN_CLONE,
                   share="makes-refs", clue=re.escape(pattern.rstrip("/")))  # fmt: skip


ATTEMPTS = (
    _ref("moved-main", "moves the clone's main", "git update-ref refs/heads/main $evil\n",
         "refs/heads/main"),
    _ref("moved-branch", "moves a branch of the user without git's record",
         "free update-ref refs/heads/other-1 $evil\n", "refs/heads/other-1"),
    _ref("written-branch", "writes the branch's file, without git",
         'echo $evil > "$COMMON/refs/heads/other-2"\n', "refs/heads/other-2"),
    _ref("deleted-branch", "deletes a branch of the user", "git branch -qD other-3\n",
         "refs/heads/other-3"),
    _ref("moved-remote-branch", "moves what the clone takes for the origin's main",
         "free update-ref refs/remotes/origin/main $evil\n", "refs/remotes/origin/main"),
    _ref("packed-refs", "empties packed-refs after all refs were packed",
         'free pack-refs --all; : > "$COMMON/packed-refs"\n', "refs/heads/other", share=""),
    _ref("dropped-stash", "drops the user's stash", "git stash drop -q\n", "refs/stash", share=""),
    _ref("changed-stash", "changes the user's stash without git's record",
         "free update-ref refs/stash $evil\n", "refs/stash", share=""),
    Attempt("replaced-object", GROUP, "gives a commit another content (git replace)",
            f"{EVIL}git replace HEAD $evil\n", has_ref("refs/replace/"), room=Room.OWN_CLONE),
    _new("tag-that-shadows", "makes a tag with the name of its branch",
         'git tag E-1-makes-refs $evil\n', "refs/tags/E-1-makes-refs"),
    _new("branch-that-shadows", "makes a branch with the name of the origin's",
         "git branch origin/main $evil\n", "refs/heads/origin/main"),
    _new("branch-as-option", "makes a branch whose name is an option",
         "git update-ref 'refs/heads/--upload-pack=x' $evil\n", "refs/heads/--upload-pack=x"),
    _new("branch-as-shell-words", "makes a branch whose name is a command",
         "git update-ref 'refs/heads/$(id)' $evil\n", "refs/heads/$(id)"),
    _new("branch-in-ours", "makes a ref where the tool keeps its own",
         "git update-ref refs/orchestr/evil $evil\n", "refs/orchestr/evil"),
    _new("planted-bisect",
         "plants refs of a bisection", "free -C \"$CLONE\" update-ref refs/bisect/bad $evil\n",
         "refs/bisect/bad"),
    _new("planted-notes", "plants notes that are shown with commits",
         "git notes add -f -m evil HEAD\n", "refs/notes/commits"),
    Attempt("removed-worktree", GROUP, "removes another cell's worktree",
            'git worktree remove --force "$WS/.orchestr/worktrees/escape/$UPSTREAM"\n'
            'rm -rf "$WS/.orchestr/worktrees/escape/$UPSTREAM"\n',
            removes("{ws}/.orchestr/worktrees/escape/upstream-removed-worktree"), only="orchestr",
            room=Room.OWN_CLONE),
    Attempt("moved-upstream-branch", GROUP, "moves the branch of the cell it builds on",
            f"{EVIL}free update-ref refs/heads/E-1-$UPSTREAM HEAD~1\n",
            leaves_origin("E-1-upstream-moved-upstream-branch"), only="orchestr",
            room=Room.OWN_CLONE),
)  # fmt: skip
