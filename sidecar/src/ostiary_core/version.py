"""The one place that holds the version of Ostiary."""

__version__ = "0.1.0"
