"""The worktree of a cell: made, filled, guarded, put back, salvaged."""
