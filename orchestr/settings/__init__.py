"""The settings of a workspace: `orchestr.toml`, read once and completely."""
