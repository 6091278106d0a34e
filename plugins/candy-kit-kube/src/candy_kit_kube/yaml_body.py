"""JSON for who reads it as YAML: an API server does so with server-side apply (``application/apply-patch+yaml``).

YAML 1.2 calls itself a superset of JSON, and is none for some characters that JSON lets stand in a string: it folds
line breaks that JSON does not know (U+0085, U+2028, U+2029), with the spaces around them, and refuses what it holds for
unprintable. Written as ``\\uXXXX`` they mean the same to both.
"""

from __future__ import annotations

import re

import orjson

from candy_core import Json

_OTHERWISE = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")
"""U+007F–U+009F, U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF in UTF-8. Outside of strings JSON has none of them."""


def dumps_for_yaml(value: Json) -> bytes:
    """``value`` as JSON that reads the same as YAML. Raises ``TypeError`` for what is no JSON value."""
    return _OTHERWISE.sub(_escaped, orjson.dumps(value))


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())
