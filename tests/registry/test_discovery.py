"""Finding, importing and checking plugins: a fault of one plugin is reported and does not affect others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core import hookspecs
from candy_core.faults import PluginFault
from candy_core.registry import PluginRecord, PluginState, Registry, discover
from candy_core.registry.checks import HOOKS, check_name

GOOD = """
@hookimpl
def candy_executors():
    return [greeter("good", aliases=("Good", "bon"))]
"""


def record(registry: Registry, name: str) -> PluginRecord:
    (found,) = [plugin for plugin in registry.plugins if plugin.name == name]
    return found


def error(registry: Registry, name: str) -> str:
    failed = record(registry, name)
    assert failed.state is PluginState.FAILED
    assert failed.provides == ()
    assert failed.error is not None
    assert "\n" not in failed.error
    return failed.error


def test_an_installed_plugin_is_found_by_name_and_alias(site: Any) -> None:
    package = site.install("good", GOOD, version="1.2.3", requires=["candy-core>=0.0.1", "attrs"])
    registry = discover()
    assert record(registry, "good") == PluginRecord(
        name="good",
        distribution="site-good",
        version="1.2.3",
        state=PluginState.ACTIVE,
        provides=("executor:good",),
        error=None,
    )
    assert registry.executors["good"] is registry.executors["Good"] is registry.executors["bon"]
    assert registry.executors["good"].plugin == "good"
    assert registry.packages[package] == "good"


def test_the_loader_knows_every_hook() -> None:
    assert {name for name in vars(hookspecs) if name.startswith("candy_")} == set(HOOKS)


def test_each_hook_has_its_own_mapping_and_word(site: Any) -> None:
    site.install(
        "all",
        """
        class Backend:
            pass

        @hookimpl
        def candy_executors():
            yield greeter("a")

        @hookimpl
        def candy_rule_backends():
            return (RuleBackendSpec(name="b", settings=Settings, open=open_reporter, aliases=("vm2",)),)

        @hookimpl
        def candy_reporters():
            return [reporter_spec("c")]

        @hookimpl
        def candy_cluster_probes():
            return [ClusterProbeSpec(name="d", settings=Settings, open=open_reporter)]

        @hookimpl
        def candy_task_stores():
            return [TaskStoreSpec(name="e", settings=Settings, open=open_reporter)]
        """,
    )
    registry = discover()
    assert set(record(registry, "all").provides) == {
        "executor:a",
        "rule_backend:b",
        "reporter:c",
        "cluster_probe:d",
        "task_store:e",
    }
    assert registry.rule_backends["vm2"] is registry.rule_backends["b"]
    assert {"a", "c", "d", "e"} <= {
        *registry.executors,
        *registry.reporters,
        *registry.cluster_probes,
        *registry.task_stores,
    }


EXECUTORS = "@hookimpl\ndef candy_executors():\n    "
STORES = "@hookimpl\ndef candy_task_stores():\n    "


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import a_module_that_is_not_there", "its import raised ModuleNotFoundError"),
        ("def broken(:", "its import raised SyntaxError"),
        ("sys.exit('bye')", "its import raised SystemExit: bye (site_bad, line "),
        ("raise BaseException('odd')", "its import raised BaseException: odd"),
        ("class E(Exception):\n  def __str__(self): raise ValueError\nraise E()", "(its message cannot be read)"),
        ("raise ExceptionGroup('two', [ValueError('one'), KeyError('other')])", "ValueError: one (and 1 more)"),
        ("raise ValueError('long\\nlines ' * 100)", "long lines long lines"),
        (EXECUTORS + "raise RuntimeError('boom')", "candy_executors raised RuntimeError: boom"),
        (EXECUTORS + "sys.exit(3)", "candy_executors raised SystemExit: 3"),
        (
            EXECUTORS + "yield greeter('bad')\n    raise RuntimeError('late')",
            "candy_executors raised RuntimeError: late",
        ),
        (
            "@hookimpl\ndef candy_executers():\n    return []",
            "implements a hook 'candy_executers' that does not exist: did you mean candy_executors?",
        ),
        (
            "@hookimpl\ndef make_coffee():\n    return []",
            "implements a hook 'make_coffee' that does not exist: the hooks are candy_executors, candy_rule_backends",
        ),
        ("@hookimpl\ndef candy_executors(config):\n    return []", "does not fit its hook, which takes no arguments"),
        ("@hookimpl(wrapper=True)\ndef candy_executors():\n    return (yield)", "wraps candy_executors"),
        ("@hookimpl\nasync def candy_executors():\n    return []", "candy_executors is an async function"),
        (EXECUTORS + "pass", "candy_executors returned None; expected an iterable"),
        (EXECUTORS + "return greeter('bad')", "returned a ExecutorSpec; expected an iterable"),
        (EXECUTORS + "return 'bad'", "returned a str; expected an iterable of Specs"),
        (EXECUTORS + "return [reporter_spec('bad')]", "a ReporterSpec; expected ExecutorSpec"),
        (EXECUTORS + "return [ExecutorSpec]", "the class ExecutorSpec; expected ExecutorSpec"),
        ("def candy_executors():\n    return []", "has no hook implementation: mark one of candy_executors"),
        (
            STORES + "return [TaskStoreSpec(name='memory', settings=Settings, open=open_reporter)]",
            "task_store 'memory' is reserved for the core",
        ),
    ],
)
def test_a_broken_plugin_fails_alone_and_says_why(site: Any, source: str, message: str) -> None:
    site.install("good", GOOD)
    site.install("bad", source)
    registry = discover()
    assert message in error(registry, "bad")
    assert len(error(registry, "bad")) < 500
    assert record(registry, "good").state is PluginState.ACTIVE
    assert "good" in registry.executors
    assert "bad" not in registry.executors


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("name='Bad'", "whose name 'Bad' does not match [a-z][a-z0-9_]*"),
        ("name='bad\\n'", "does not match"),
        ("name=7", "whose name 7 does not match"),
        ("params=dict", "params is the class dict; expected an attrs class"),
        ("settings=None", "settings is None; expected an attrs class"),
        ("open='x'", "open is a str; expected a function that returns an async context manager"),
        ("aliases='vm'", "aliases is a str; expected a tuple of strings"),
        ("aliases=('',)", "aliases is a tuple; expected a tuple of strings"),
        ("max_batch=0", "max_batch is 0; expected an integer of at least 1"),
        ("max_concurrent=True", "max_concurrent is True; expected None or an integer"),
        ("scopes=None", "scopes is None; expected a function"),
        ("check=3", "check is 3; expected an async function or None"),
        ("settings=Needy", "settings Needy has no default for url"),
        ("params=Odd", "reading params Odd raised"),
    ],
)
def test_a_spec_with_a_wrong_field_is_rejected(site: Any, fields: str, message: str) -> None:
    site.install(
        "bad",
        f"""
        @frozen
        class Needy:
            url: str

        @frozen
        class Odd:
            missing: "NoSuchType"

        @hookimpl
        def candy_executors():
            return [greeter(**{{"name": "bad", **dict({fields})}})]
        """,
    )
    assert message in error(discover(), "bad")


@pytest.mark.parametrize("name", ["Hello", "9lives", "he-llo", "h.ello", "server", "api", "callback_url", "run", "max"])
def test_a_plugin_with_a_bad_or_reserved_name_fails_without_an_import(site: Any, name: str) -> None:
    """Contract §7: "A plugin may not be named `server`, `api`, `agent`, …"."""
    site.install(name, "raise AssertionError('imported')", distribution="candy-named")
    assert "name" in error(discover(), name)
    assert "candy_named" not in sys.modules


@given(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True))
def test_any_other_name_is_accepted(name: str) -> None:
    try:
        check_name(name)
    except PluginFault as fault:
        assert "reserved" in str(fault)  # noqa: PT017  # both outcomes are fine


@given(st.text(max_size=8).filter(lambda text: not text.isascii() or not text.replace("_", "a").isalnum()))
def test_a_name_that_cannot_be_an_environment_prefix_is_rejected(name: str) -> None:
    with pytest.raises(PluginFault):
        check_name(name)


def test_a_plugin_for_a_newer_core_fails_without_an_import(site: Any) -> None:
    site.install("newer", "raise AssertionError('imported')", requires=["Candy_Core >= 7, <8"])
    site.install("fits", GOOD.replace("good", "fits"), requires=["candy-core>=1.5"])
    site.install(
        "extra",
        GOOD.replace("good", "extra"),
        requires=["candy-core>=9; extra == 'future'", "!! not one"],
    )
    site.install("puzzle", "raise AssertionError('imported')", requires=["candy-core>9; python_version ~= 'x'"])
    registry = discover(core_version="2.0rc1")
    assert "reading its requirements raised" in error(registry, "puzzle")
    assert error(registry, "newer") == "requires candy-core<8,>=7, but this is candy-core 2.0rc1"
    assert "site_newer" not in sys.modules
    assert record(registry, "fits").state is PluginState.ACTIVE
    assert registry.executors["extra"].plugin == "extra"


def test_a_blocked_plugin_is_not_even_imported(site: Any) -> None:
    package = site.install("dull", "raise AssertionError('imported')")
    blocked = record(discover(blocked=["dull"]), "dull")
    assert (blocked.state, blocked.error, blocked.provides) == (PluginState.BLOCKED, None, ())
    assert package not in sys.modules


def test_two_distributions_with_one_plugin_name_fail_until_one_is_blocked(site: Any) -> None:
    """The plugin's name is ambiguous, so the name of the distribution blocks it."""
    site.install("twin", GOOD, distribution="candy-one", version="1.0")
    site.install("twin", GOOD, distribution="candy-two", version="2.0")
    registry = discover()
    both = [plugin for plugin in registry.plugins if plugin.name == "twin"]
    assert [plugin.state for plugin in both] == [PluginState.FAILED, PluginState.FAILED]
    assert all("candy-one 1.0 and candy-two 2.0" in str(plugin.error) for plugin in both)
    assert "good" not in registry.executors
    registry = discover(blocked=["candy_Two"])
    assert registry.executors["good"].plugin == "twin"
    assert {plugin.distribution: plugin.state for plugin in registry.plugins if plugin.name == "twin"} == {
        "candy-one": PluginState.ACTIVE,
        "candy-two": PluginState.BLOCKED,
    }


CLASHING = """
@hookimpl
def candy_executors():
    return [greeter("{own}", aliases=("shared",)), greeter("{own}_more")]
"""


def test_two_executors_with_one_alias_lose_only_that_alias(site: Any) -> None:
    site.install("left", CLASHING.format(own="left"))
    site.install("right", CLASHING.format(own="right"), version="3.1")
    registry = discover()
    assert "shared" not in registry.executors
    assert {"left", "left_more", "right", "right_more"} <= set(registry.executors)
    for name in ("left", "right"):
        plugin = record(registry, name)
        assert plugin.state is PluginState.ACTIVE
        assert plugin.provides == (f"executor:{name}", f"executor:{name}_more")
        assert "executor 'shared' is announced by both" in str(plugin.error)
        assert "left (site-left 1.0) and right (site-right 3.1)" in str(plugin.error)
        assert "CANDY_PLUGINS_BLOCKED" in str(plugin.error)
    registry = discover(blocked=["left"])
    assert registry.executors["shared"].plugin == "right"
    assert record(registry, "right").error is None


def test_a_plugin_that_loses_everything_in_a_clash_fails(site: Any) -> None:
    for name in ("left", "right"):
        site.install(name, "@hookimpl\ndef candy_executors():\n    return [greeter('same')]")
    registry = discover()
    assert "same" not in registry.executors
    assert "site-left 1.0" in error(registry, "right")
    assert "site-right 1.0" in error(registry, "left")


def test_an_executor_that_lost_its_name_keeps_its_alias(site: Any) -> None:
    site.install("left", "@hookimpl\ndef candy_executors():\n    return [greeter('same', aliases=('left_too',))]")
    site.install("right", "@hookimpl\ndef candy_executors():\n    return [greeter('right', aliases=('same',))]")
    registry = discover()
    assert record(registry, "left").provides == ("executor:left_too",)
    assert record(registry, "left").state is PluginState.ACTIVE
    assert {"left_too", "right"} <= set(registry.executors)
    assert "same" not in registry.executors


def test_a_name_that_one_plugin_announces_twice_is_not_used(site: Any) -> None:
    site.install("twice", "@hookimpl\ndef candy_executors():\n    return [greeter('x'), greeter('x'), greeter('y')]")
    registry = discover()
    assert "announced twice by twice (site-twice 1.0)" in str(record(registry, "twice").error)
    assert "x" not in registry.executors
    assert "y" in registry.executors


def test_two_reporters_with_one_format_lose_it_and_do_not_get_every_task(site: Any) -> None:
    """A reporter without formats gets every task. One that lost all of its formats must not."""
    site.install("left", "@hookimpl\ndef candy_reporters():\n    return [reporter_spec('left', formats=('f', 'g'))]")
    site.install("right", "@hookimpl\ndef candy_reporters():\n    return [reporter_spec('right', formats=('f',))]")
    site.install("every", "@hookimpl\ndef candy_reporters():\n    return [reporter_spec('every')]")
    registry = discover()
    assert registry.reporters["left"].spec.formats == ("g",)
    assert "right" not in registry.reporters
    assert registry.reporters["every"].spec.formats == ()
    assert record(registry, "left").provides == ("reporter:left",)
    assert "reporter format 'f'" in error(registry, "right")


def test_a_distribution_may_have_several_plugins_and_any_object_may_be_one(site: Any) -> None:
    site.install(
        "many",
        """
        class Plugin:
            def __init__(self, name):
                self.name = name
            @hookimpl
            def candy_executors(self):
                yield greeter(self.name)
        one, two = Plugin("one"), Plugin("two")
        nothing = None
        """,
        entry="many_one = site_many:one\nmany_two = site_many:two\nmany_none = site_many:nothing\n"
        "many_lost = site_many:lost\nmany_odd = a b c",
    )
    registry = discover()
    assert registry.executors["one"].plugin == "many_one"
    assert registry.executors["two"].plugin == "many_two"
    assert "names None" in error(registry, "many_none")
    assert "AttributeError" in error(registry, "many_lost")
    assert "its import raised" in error(registry, "many_odd")


def test_a_plugin_object_with_its_own_equality_works(site: Any) -> None:
    site.install(
        "odd",
        """
        class Plugin:
            def __eq__(self, other):
                raise ValueError("not to be compared")
            __hash__ = None
            @hookimpl
            def candy_executors(self):
                yield greeter("odd")
        plugin = Plugin()
        """,
        entry="odd = site_odd:plugin",
    )
    assert discover().executors["odd"].plugin == "odd"


def test_a_spec_whose_field_raises_is_a_fault_of_the_plugin(site: Any) -> None:
    site.install(
        "bad",
        """
        class Trap(ExecutorSpec):
            @property
            def aliases(self):
                raise ValueError("a trap")
        @hookimpl
        def candy_executors():
            spec = object.__new__(Trap)
            object.__setattr__(spec, "name", "trap")
            return [spec]
        """,
    )
    assert "calling its hooks raised" in error(discover(), "bad")


def test_broken_metadata_of_one_distribution_does_not_affect_others(site: Any) -> None:
    site.install("good", GOOD)
    site.describe("candy-garbage", "1.0", "[candy]\nthis line has no equals sign\n")
    (site.describe("candy-nameless", "1.0", "[candy]\nnameless = candy_nameless\n") / "METADATA").unlink()
    registry = discover()
    assert record(registry, "good").state is PluginState.ACTIVE
    assert "metadata" in error(registry, "nameless")


def test_plugins_with_one_top_level_package_are_distinguished(site: Any) -> None:
    root: Path = site.folder / "acme"
    root.mkdir()
    for name in ("disk", "net"):
        site.install(name, GOOD.replace("good", name).replace("bon", f"{name}2").replace("Good", f"{name}3"))
        (site.folder / f"site_{name}").rename(root / name)
        site.describe(f"site-{name}", "1.0", f"[candy]\n{name} = acme.{name}\n")
    packages = discover().packages
    assert {key: packages[key] for key in packages if key.startswith("acme")} == {
        "acme.disk": "disk",
        "acme.net": "net",
    }


def test_prints_of_a_plugin_at_its_import_do_not_go_to_stdout(site: Any) -> None:
    """Contract §7: 'every other command keeps stdout for its answer'."""
    site.install("loud", "print('import')\n@hookimpl\ndef candy_executors():\n    print('hook')\n    return []")
    program = (
        "from candy_core.registry import discover; print([p.name for p in discover().plugins if p.name == 'loud'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(site.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['loud']\n"
    assert "import\nhook" in done.stderr


def test_a_keyboard_interrupt_is_raised(site: Any) -> None:
    site.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        discover()


def test_required_params_are_not_a_fault_of_the_plugin(site: Any) -> None:
    site.install(
        "strict",
        """
        @frozen
        class Query:
            query: str
        @hookimpl
        def candy_executors():
            return [greeter("strict", params=Query)]
        """,
    )
    assert record(discover(), "strict").state is PluginState.ACTIVE
