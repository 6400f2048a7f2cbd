"""An agent at work in a cell: its prompt, its start, its repairs, plans and reviews."""
