"""Handing a feature over to people: its texts, what a person chose, and what came of each call."""
