"""JSON that is safe to parse as YAML, as the API server does for server-side apply (``application/apply-patch+yaml``).

YAML 1.2 is meant to be a superset of JSON, but treats some characters in strings differently: it folds line breaks that
JSON does not have (U+0085, U+2028, U+2029), with the spaces around them, and rejects characters that it considers
unprintable. Escaped as ``\\uXXXX`` they mean the same in both.
"""

from __future__ import annotations

import re

import orjson

from candy_core import Json

_UNSAFE = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")
"""U+007F–U+009F, U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF in UTF-8. In JSON they occur only in strings."""


def dumps_for_yaml(value: Json) -> bytes:
    """``value`` as JSON that means the same as YAML. Raises ``TypeError`` for a value that JSON does not have."""
    return _UNSAFE.sub(_escape, orjson.dumps(value))


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())
