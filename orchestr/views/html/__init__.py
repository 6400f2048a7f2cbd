"""The report and the board: pages made from the same records as `status` and `explain`."""
