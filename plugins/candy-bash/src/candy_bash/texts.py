"""The sentences of this plugin, in the languages of the agent."""

from __future__ import annotations

from pathlib import Path

from candy_core import Catalogue

NOT_FOUND = "The program {program} is not on this host"
NOT_EXECUTABLE = "The program {program} may not be executed"
NOT_STARTED = "The command could not be started: {why}"
LEFT_BEHIND = "The command left processes behind, which were ended: {names}"
OUTPUT_OPEN = "Another process still holds the output of the command open"
STILL_ALIVE = "these could not be ended: {names}"
NO_SUBREAPER = "this host does not let the agent track processes whose parents have ended"
UNATTRIBUTED = "these may come from it, or from another command: {names}"

sentence = Catalogue("candy_bash", Path(__file__).parent / "locales").sentence
