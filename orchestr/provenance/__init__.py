"""Where a commit comes from: `lineage` reads it, `attest` writes it down, `verify` compares."""
