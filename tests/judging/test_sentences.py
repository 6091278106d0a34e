"""The message catalogues, and the sentences of items without a verdict."""

from __future__ import annotations

import inspect
import io
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

import candy_core
from candy_core import Catalogue, Locale, Problem, item_sentences, sentence

PACKAGE = Path(inspect.getfile(candy_core)).parent
FOLDER = PACKAGE / "judging" / "locales" / "zh_CN" / "LC_MESSAGES"


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def translated() -> dict[str, str]:
    with (FOLDER / "candy.po").open("rb") as stream:
        return {str(m.id): str(m.string) for m in read_po(stream) if m.id and not m.fuzzy}


def used() -> Iterator[str]:
    for _, _, msgid, _, _ in extract_from_dir(PACKAGE, keywords={"sentence": (2,), "_": None}):
        yield str(msgid)


def test_the_catalogue_has_exactly_the_sentences_of_the_code() -> None:
    assert set(used()) == set(translated())


@pytest.mark.parametrize(("msgid", "text"), sorted(translated().items()))
def test_a_translation_has_the_placeholders_of_its_sentence(msgid: str, text: str) -> None:
    assert text
    assert text != msgid
    # Chinese has no plural, and no capitals either.
    assert placeholders(text) == placeholders(msgid)


def test_the_compiled_catalogue_matches_its_source() -> None:
    """If not: pybabel compile --domain candy --directory candy_core/judging/locales"""
    with (FOLDER / "candy.po").open("rb") as stream:
        compiled = io.BytesIO()
        write_mo(compiled, read_po(stream))
    compiled.seek(0)
    with (FOLDER / "candy.mo").open("rb") as stream:
        committed = {m.id: m.string for m in read_mo(stream) if m.id}
    assert committed == {m.id: m.string for m in read_mo(compiled) if m.id}


@pytest.mark.parametrize("value", ["{why}", "{0}", "%s", "%(why)s", "{why.__class__}", "}{", "{{}}"])
@pytest.mark.parametrize("locale", Locale)
def test_placeholders_in_a_value_are_not_replaced(locale: Locale, value: str) -> None:
    assert sentence(locale, "The query was rejected: {why}", why=value).endswith(value)


def test_a_sentence_without_translation_is_english() -> None:
    assert sentence(Locale.ZH_CN, "{count} candies", count=3) == "3 candies"


def test_a_placeholder_without_a_value_is_an_error_of_the_caller() -> None:
    with pytest.raises(KeyError, match="why"):
        sentence(Locale.EN, "The query was rejected: {why}")


def test_a_plugin_has_its_own_catalogue(tmp_path: Path) -> None:
    folder = tmp_path / "zh_CN" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    source = (
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Hello {who}"\nmsgstr "你好 {who}"\n'
    )
    with (folder / "hello.mo").open("wb") as stream:
        write_mo(stream, read_po(io.BytesIO(source.encode())))
    catalogue = Catalogue("hello", tmp_path)
    assert catalogue.sentence(Locale.ZH_CN, "Hello {who}", who="{who}") == "你好 {who}"
    assert catalogue.sentence(Locale.EN, "Hello {who}", who="you") == "Hello you"


def test_a_missing_catalogue_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"hello\.mo"):
        Catalogue("hello", tmp_path)


ZH = Locale.ZH_CN
EN = Locale.EN


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            item_sentences.unknown_type(ZH, "prom", ["vm", "prometheus"]),
            "未知的巡检项类型 prom；已安装的类型：prometheus, vm",
        ),
        (
            item_sentences.unknown_type(EN, "prom", ["vm", "prometheus"]),
            "Unknown item type prom; installed are: prometheus, vm",
        ),
        (item_sentences.unknown_type(EN, "prom", []), "Unknown item type prom; no executor is installed"),
        (
            item_sentences.bad_params(EN, [Problem("$.query", "required"), Problem("$.x", "unknown key")]),
            "Bad params: $.query: required; $.x: unknown key",
        ),
        (
            item_sentences.scope_missing(EN, ["tasks:command"]),
            "Not allowed: the API key lacks the scope tasks:command",
        ),
        (
            item_sentences.setting_off(ZH, "plugins.bash.allow_command"),
            "不允许执行：如需启用，请在 Agent 配置中设置 plugins.bash.allow_command",
        ),
        (item_sentences.not_configured(EN, "X"), "Not configured: set X in the agent's configuration"),
        (
            item_sentences.plugin_error(EN, "bash"),
            "The plugin bash failed on this item; the agent's log says why",
        ),
        (item_sentences.not_answered(ZH, "bash"), "插件 bash 没有返回该巡检项的结果"),
        (item_sentences.plugin_down(EN, "bash", "no shell"), "The plugin bash is not working: no shell"),
        (item_sentences.timed_out(EN, 30.0), "Timed out after 30 s"),
        (item_sentences.timed_out(ZH, 0.5), "执行超时（0.5 秒）"),
        (item_sentences.cut_off(EN, 300), "Not finished: the task was cut off by its timeout of 300 s"),
        (item_sentences.canceled(ZH), "已取消"),
        (item_sentences.canceled_by_shutdown(EN), "Canceled: the agent is shutting down"),
        (item_sentences.unreachable(ZH, "http://p:9090", "refused"), "无法访问 http://p:9090：refused"),
        (item_sentences.empty_result(ZH), "查询没有返回任何时间序列"),
        (item_sentences.partial_response(EN, "a store is down"), "The answer is incomplete: a store is down"),
    ],
)
def test_items_that_could_not_be_judged_say_why(made: str, expected: str) -> None:
    assert made == expected
