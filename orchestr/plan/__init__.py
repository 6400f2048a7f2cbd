"""Plans, pure: order, waves, bases and overlaps of the cells of a feature."""
