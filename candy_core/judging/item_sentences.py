"""The sentences for items that could not be judged, with one function for each reason.

Each function takes the task's locale and returns one sentence without a full stop. ``why`` is text from elsewhere (the
error of a server, the description of an exception). It is included unchanged and must not contain a secret.
"""

from __future__ import annotations

from collections.abc import Iterable

from candy_core.errors import Problem
from candy_core.judging.sentences import sentence
from candy_core.model.task import Locale


def unknown_type(locale: Locale, type_: str, installed: Iterable[str]) -> str:
    """``unknown_type``: no installed executor has this type. Lists the types that are installed."""
    known = ", ".join(sorted(installed))
    if not known:
        return sentence(locale, "Unknown item type {type}; no executor is installed", type=type_)
    return sentence(locale, "Unknown item type {type}; installed are: {installed}", type=type_, installed=known)


def bad_params(locale: Locale, problems: Iterable[Problem]) -> str:
    """``bad_params``: every problem with its path."""
    listed = "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
    return sentence(locale, "Bad params: {problems}", problems=listed)


def scope_missing(locale: Locale, scopes: Iterable[str]) -> str:
    """``not_allowed``: the caller's key lacks these scopes."""
    return sentence(locale, "Not allowed: the API key lacks the scope {scopes}", scopes=", ".join(sorted(scopes)))


def setting_off(locale: Locale, setting: str) -> str:
    """``not_allowed``: a setting is off, for example ``plugins.bash.allow_command``."""
    return sentence(locale, "Not allowed: set {setting} in the agent's configuration to enable it", setting=setting)


def not_configured(locale: Locale, setting: str) -> str:
    """``not_configured``: a setting has no value. Its name is that in the configuration file or the environment."""
    return sentence(locale, "Not configured: set {setting} in the agent's configuration", setting=setting)


def plugin_error(locale: Locale, plugin: str) -> str:
    """``plugin_error``: the plugin raised. Only the agent's log has the exception."""
    return sentence(locale, "The plugin {plugin} failed on this item; the agent's log says why", plugin=plugin)


def not_answered(locale: Locale, plugin: str) -> str:
    """``plugin_error``: the plugin's call ended without an outcome for this item."""
    return sentence(locale, "The plugin {plugin} gave no answer for this item", plugin=plugin)


def plugin_down(locale: Locale, plugin: str, why: str) -> str:
    """``plugin_error`` or ``unreachable``: the plugin could not be opened."""
    return sentence(locale, "The plugin {plugin} is not working: {why}", plugin=plugin, why=why)


def timed_out(locale: Locale, seconds: float) -> str:
    """``timeout``: the time of the item, in seconds, is over."""
    return sentence(locale, "Timed out after {seconds} s", seconds=f"{seconds:g}")


def cut_off(locale: Locale, seconds: float) -> str:
    """``timeout``: the time of the task, in seconds, was over before the item started or ended."""
    return sentence(locale, "Not finished: the task was cut off by its timeout of {seconds} s", seconds=f"{seconds:g}")


def canceled(locale: Locale) -> str:
    """``canceled``: the task was canceled."""
    return sentence(locale, "Canceled")


def canceled_by_shutdown(locale: Locale) -> str:
    """``canceled``: the agent shuts down, and the grace time is over."""
    return sentence(locale, "Canceled: the agent is shutting down")


def unreachable(locale: Locale, target: str, why: str) -> str:
    """``unreachable``: no connection, or a broken one. ``target`` is a name or a URL without credentials."""
    return sentence(locale, "{target} is unreachable: {why}", target=target, why=why)


def empty_result(locale: Locale) -> str:
    """``empty_result``: the query returned no series."""
    return sentence(locale, "The query returned no series")


def partial_response(locale: Locale, why: str) -> str:
    """``partial_response``: the response is incomplete. ``why`` is the server's message."""
    return sentence(locale, "The answer is incomplete: {why}", why=why)
