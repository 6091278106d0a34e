"""What the core, and any executor, says of an item that could not be judged. One function for each reason.

Each takes the task's locale and returns one sentence without a full stop. ``why`` is somebody else's text (a server's
error, an exception made readable) and stands as it is; it must not hold a secret.
"""

from __future__ import annotations

from collections.abc import Iterable

from candy_core.errors import Problem
from candy_core.judging.sentences import sentence
from candy_core.model.task import Locale


def unknown_type(locale: Locale, type_: str, installed: Iterable[str]) -> str:
    """``unknown_type``: nothing that is installed runs such items; lists the types that there are."""
    known = ", ".join(sorted(installed))
    if not known:
        return sentence(locale, "Unknown item type {type}; no executor is installed", type=type_)
    return sentence(locale, "Unknown item type {type}; installed are: {installed}", type=type_, installed=known)


def bad_params(locale: Locale, problems: Iterable[Problem]) -> str:
    """``bad_params``: every problem with its path."""
    listed = "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
    return sentence(locale, "Bad params: {problems}", problems=listed)


def scope_missing(locale: Locale, scopes: Iterable[str]) -> str:
    """``not_allowed``: the caller's key does not hold these scopes."""
    return sentence(locale, "Not allowed: the API key lacks the scope {scopes}", scopes=", ".join(sorted(scopes)))


def setting_off(locale: Locale, setting: str) -> str:
    """``not_allowed``: the agent's configuration does not enable it; ``setting`` as ``plugins.bash.allow_command``."""
    return sentence(locale, "Not allowed: set {setting} in the agent's configuration to enable it", setting=setting)


def not_configured(locale: Locale, setting: str) -> str:
    """``not_configured``: ``setting`` has no value; named as the configuration file or the environment has it."""
    return sentence(locale, "Not configured: set {setting} in the agent's configuration", setting=setting)


def plugin_error(locale: Locale, plugin: str) -> str:
    """``plugin_error``: the plugin raised. What it raised is in the agent's log, and only there."""
    return sentence(locale, "The plugin {plugin} failed on this item; the agent's log says why", plugin=plugin)


def not_answered(locale: Locale, plugin: str) -> str:
    """``plugin_error``: the plugin ended its call without a word on this item."""
    return sentence(locale, "The plugin {plugin} gave no answer for this item", plugin=plugin)


def plugin_down(locale: Locale, plugin: str, why: str) -> str:
    """``plugin_error`` or ``unreachable``: the plugin could not be opened."""
    return sentence(locale, "The plugin {plugin} is not working: {why}", plugin=plugin, why=why)


def timed_out(locale: Locale, seconds: float) -> str:
    """``timeout``: the item used up its time, in seconds."""
    return sentence(locale, "Timed out after {seconds} s", seconds=f"{seconds:g}")


def cut_off(locale: Locale, seconds: float) -> str:
    """``timeout``: the task's time, in seconds, was over before the item had its turn or its end."""
    return sentence(locale, "Not finished: the task was cut off by its timeout of {seconds} s", seconds=f"{seconds:g}")


def canceled(locale: Locale) -> str:
    """``canceled``: somebody canceled the task."""
    return sentence(locale, "Canceled")


def canceled_by_shutdown(locale: Locale) -> str:
    """``canceled``: the agent stops, and its grace is over."""
    return sentence(locale, "Canceled: the agent is shutting down")


def unreachable(locale: Locale, target: str, why: str) -> str:
    """``unreachable``: no connection, or one that broke. ``target`` is a name or a URL without credentials."""
    return sentence(locale, "{target} is unreachable: {why}", target=target, why=why)


def empty_result(locale: Locale) -> str:
    """``empty_result``: the query was answered, and no series passed it."""
    return sentence(locale, "The query returned no series")


def partial_response(locale: Locale, why: str) -> str:
    """``partial_response``: something is missing from the answer; ``why`` in the server's own words."""
    return sentence(locale, "The answer is incomplete: {why}", why=why)
