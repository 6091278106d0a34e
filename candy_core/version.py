"""The core's version. A test checks it against the distribution's metadata."""

__version__ = "0.1.0"
