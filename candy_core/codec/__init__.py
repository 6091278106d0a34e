"""Converts JSON to records and back.

``loads`` and ``dumps`` convert between JSON text and values, ``Reader`` and ``to_json`` between values and records. The
defaults of the libraries below are too lenient for input from outside (contract section 1). This package is strict
instead, with a test for each case.
"""

from candy_core.codec.problems import Mismatch, join
from candy_core.codec.reader import Reader, params_reader, request_reader, tolerant_reader
from candy_core.codec.text import MAX_DEPTH, dumps, loads
from candy_core.codec.writer import encode, rfc3339, to_json

__all__ = [
    "MAX_DEPTH",
    "Mismatch",
    "Reader",
    "dumps",
    "encode",
    "join",
    "loads",
    "params_reader",
    "request_reader",
    "rfc3339",
    "to_json",
    "tolerant_reader",
]
