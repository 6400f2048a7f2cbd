"""Landing: a merge queue whose targets are always green. `queue` decides, `land` does."""
