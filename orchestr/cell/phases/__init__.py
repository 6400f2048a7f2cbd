"""The phases of a cell, one module each; `run_phase` runs one and journals what came of it."""
