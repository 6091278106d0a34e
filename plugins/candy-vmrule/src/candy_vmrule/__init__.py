"""Candy Agent's rule backend for rules of the type ``victoriaMetrics``."""
