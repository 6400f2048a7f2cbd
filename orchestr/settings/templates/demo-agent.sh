# Plays a coding agent, so that a first run costs nothing and needs no account.
#
# It is started as every agent of kind `command` is: the current folder is the cell's worktree, the
# prompt comes on stdin and in $ORCHESTR_PROMPT_FILE, what it leaves is committed. Exit 0 is success.
# All variables: docs/agents.md of orchestr.
set -eu
if [ "${ORCHESTR_ROLE:-}" = drafter ]; then
    echo "the demo agent only plays, it cannot draft: orchestr draft $ORCHESTR_FEATURE --no-agent" >&2
    exit 1
fi
echo "working on $ORCHESTR_CELL in $ORCHESTR_REPO, attempt $ORCHESTR_ATTEMPT"
{
    echo "## $ORCHESTR_FEATURE, cell $ORCHESTR_CELL"
    echo
    sed -n '/^## What to do/,/^## /s/^- /- asked: /p' "$ORCHESTR_PROMPT_FILE"
    env | sed -n 's/^ORCHESTR_UPSTREAM_\(.*\)_HEAD=\(.*\)/- builds on \1 at \2/p' | sort
    echo "- done by the demo agent, which only plays"
} >> orchestr-example.md
