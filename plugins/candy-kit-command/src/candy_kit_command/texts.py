"""The sentences of items that run commands, in the languages of the agent."""

from __future__ import annotations

from pathlib import Path

from candy_core import Catalogue

NO_TEMPLATE = "Unknown template {template}; available: {templates}"
NO_TEMPLATES = "Unknown template {template}; the agent has none"
UNKNOWN_ARG = "unknown argument; the template takes: {names}"
UNKNOWN_ARG_OF_NONE = "unknown argument; the template takes none"
REQUIRED = "is required"

A_NUMBER = "expected a number"
AN_INTEGER = "expected a whole number"
AT_LEAST = "expected at least {bound}"
AT_MOST = "expected at most {bound}"
A_FLAG = "expected true or false"
A_STRING = "expected a text"
ONE_OF = "expected one of: {values}"
A_HOST = "expected a host name or an IP address, in ASCII"
A_PATH = "expected an absolute path without ., .. and double slashes"
BELOW = "expected a path below {root}"
NOT_EMPTY = "expected a non-empty text"
AT_MOST_CHARACTERS = "expected at most {bound} characters"
NO_DASH = "expected a text that does not start with -"
PRINTABLE = "expected printable characters on one line"
PATTERN = "expected a text that matches {pattern}"

KILLED = "The command was ended by signal {signal}"
EXITED = "The command exited with code {code}"
EXITED_SAYING = "The command exited with code {code}: {text}"
UNKNOWN_END = "How the command ended is not known"
NAGIOS_WARNING = "Warning: {text}"
NAGIOS_CRITICAL = "Critical: {text}"
NOT_A_NUMBER = "The output is not a number"
NO_NUMBER = "The output contains no number where the template searches for one"
MATCHED = "The output contains {text}"
NOT_MATCHED = "The output does not contain {text}"
CUT = "the output was cut after {kept} bytes, {cut} more were not kept"
UNVERIFIED = "Not every process that the command started is known to be gone: {why}"
FREE_FORM = "(free-form command)"

sentence = Catalogue("candy_kit_command", Path(__file__).parent / "locales").sentence
