"""Make for features. Importing this package does nothing and is fast."""

__version__ = "0.1.0"
