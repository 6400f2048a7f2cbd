"""The board: the pages of `views.html`, served on the loopback interface."""
