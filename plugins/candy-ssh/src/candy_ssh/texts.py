"""The sentences of items that run commands on other hosts, in the languages of the agent."""

from __future__ import annotations

from pathlib import Path

from candy_core import Catalogue

HOST_NOT_ALLOWED = "Not allowed: {host} is not among the hosts of {setting} in the agent's configuration"
NOT_ALLOWED = "Not allowed: {why}"
NOT_USABLE = "Not configured: {why}"
HOST_KEY_MISMATCH = "The host key of {host} is not trusted: {why}"
AUTH_FAILED = "Logging in to {host} failed: {why}"
LOST = "the connection was lost while the command ran"
NO_SESSION = "the host did not start the command: {why}"
TOO_LONG = "the command is longer than {limit} bytes"
ALL_NORMAL = "All {total} hosts are normal"
SOME_NOT_NORMAL = "{bad} of {total} hosts are not normal; {host}: {message}"
AND_MORE = "and {count} more"
NOT_RUN = "not run"
NOT_REACHED = "it had not been reached when the item was ended"
STILL_RUNNING = "the command was still running when the item was ended"

sentence = Catalogue("candy_ssh", Path(__file__).parent / "locales").sentence
