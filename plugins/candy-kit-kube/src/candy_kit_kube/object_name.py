"""The name of the object that stores a rule (contract section 5)."""

from __future__ import annotations

import hashlib
import re

MAX_LENGTH = 253
"""Characters of an object's name (an RFC 1123 subdomain)."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAMESPACE = re.compile(_LABEL)
_OTHERS = re.compile(r"[^a-z0-9]+")


def object_name(name: str) -> str:
    """A valid name for the object of the rule ``name``.

    A name that is valid in lower case is kept, including its dots, so that an object created by another client is found
    under its own name. Otherwise each run of other characters becomes one ``-``. If nothing is left, or more than 253
    characters, the name is ``rule-`` and 8 hex digits of the SHA-256 of the original.
    """
    lower = name.lower()
    if not is_object_name(lower):
        lower = _OTHERS.sub("-", lower).strip("-")
    if is_object_name(lower):
        return lower
    return "rule-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def is_object_name(name: str) -> bool:
    """Whether Kubernetes accepts it as an object's name: an RFC 1123 subdomain of at most 253 characters."""
    return len(name) <= MAX_LENGTH and _SUBDOMAIN.fullmatch(name) is not None


def is_namespace(name: str) -> bool:
    """Whether Kubernetes accepts it as a namespace: an RFC 1123 label of at most 63 characters."""
    return len(name) <= 63 and _NAMESPACE.fullmatch(name) is not None
