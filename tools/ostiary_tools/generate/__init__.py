"""Writes what is generated: charts, pages, locks, rights, the bill of materials."""
