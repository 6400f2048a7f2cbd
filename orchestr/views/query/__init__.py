"""Read models: what status, explain, logs and report say, as records."""
