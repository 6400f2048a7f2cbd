"""From an intent to a spec: `draft`, its templates, and what `approve spec:NAME` writes."""
