"""The report of one run: its record, and the same as Markdown, JSON and YAML."""
