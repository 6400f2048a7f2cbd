"""What a run shows while it works: a live table, plain lines, JSON."""
