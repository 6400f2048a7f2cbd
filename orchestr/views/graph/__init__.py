"""The graph of a feature, as text, SVG and for other programs."""
