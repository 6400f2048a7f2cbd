"""What the host can show of a cell's commits: ownership, checks, markers."""
