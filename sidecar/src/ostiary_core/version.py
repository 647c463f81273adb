"""The version of Ostiary, defined only here."""

__version__ = "0.1.0"
