"""Finding, importing and checking plugins: one plugin's fault costs that plugin, and is told."""

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


def test_an_installed_plugin_is_found_and_served_by_name_and_alias(shelf: Any) -> None:
    package = shelf.install("good", GOOD, version="1.2.3", requires=["candy-core>=0.0.1", "attrs"])
    registry = discover()
    assert record(registry, "good") == PluginRecord(
        name="good",
        distribution="shelf-good",
        version="1.2.3",
        state=PluginState.ACTIVE,
        provides=("executor:good",),
        error=None,
    )
    assert registry.executors["good"] is registry.executors["Good"] is registry.executors["bon"]
    assert registry.executors["good"].plugin == "good"
    assert registry.packages[package] == "good"


def test_every_hook_of_the_core_is_known_to_the_loader() -> None:
    assert {name for name in vars(hookspecs) if name.startswith("candy_")} == set(HOOKS)


def test_each_hook_has_its_own_mapping_and_word(shelf: Any) -> None:
    shelf.install(
        "all",
        """
        class Backend:
            pass

        @hookimpl
        def candy_executors():
            yield greeter("a")

        @hookimpl
        def candy_rule_backends():
            return (RuleBackendSpec(name="b", settings=Settings, open=open_teller, aliases=("vm2",)),)

        @hookimpl
        def candy_reporters():
            return [teller("c")]

        @hookimpl
        def candy_cluster_probes():
            return [ClusterProbeSpec(name="d", settings=Settings, open=open_teller)]

        @hookimpl
        def candy_task_stores():
            return [TaskStoreSpec(name="e", settings=Settings, open=open_teller)]
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
    ("source", "told"),
    [
        ("import a_module_that_is_not_there", "its import raised ModuleNotFoundError"),
        ("def broken(:", "its import raised SyntaxError"),
        ("sys.exit('bye')", "its import raised SystemExit: bye (shelf_bad, line "),
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
        (EXECUTORS + "return 'bad'", "returned a str; expected an iterable of records"),
        (EXECUTORS + "return [teller('bad')]", "a ReporterSpec; expected ExecutorSpec"),
        (EXECUTORS + "return [ExecutorSpec]", "the class ExecutorSpec; expected ExecutorSpec"),
        ("def candy_executors():\n    return []", "has no hook implementation: mark one of candy_executors"),
        (
            STORES + "return [TaskStoreSpec(name='memory', settings=Settings, open=open_teller)]",
            "task_store 'memory' is the core's own",
        ),
    ],
)
def test_a_broken_plugin_fails_alone_and_says_why(shelf: Any, source: str, told: str) -> None:
    shelf.install("good", GOOD)
    shelf.install("bad", source)
    registry = discover()
    assert told in error(registry, "bad")
    assert len(error(registry, "bad")) < 500
    assert record(registry, "good").state is PluginState.ACTIVE
    assert "good" in registry.executors
    assert "bad" not in registry.executors


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("name='Bad'", "whose name 'Bad' does not match [a-z][a-z0-9_]*"),
        ("name='bad\\n'", "does not match"),
        ("name=7", "whose name 7 does not match"),
        ("params=dict", "params is the class dict; expected an attrs class"),
        ("settings=None", "settings is None; expected an attrs class"),
        ("open='x'", "open is a str; expected a function that gives an async context manager"),
        ("aliases='vm'", "aliases is a str; expected a tuple of strings"),
        ("aliases=('',)", "aliases is a tuple; expected a tuple of strings"),
        ("max_batch=0", "max_batch is 0; expected an integer of at least 1"),
        ("max_concurrent=True", "max_concurrent is True; expected None or an integer"),
        ("scopes=None", "scopes is None; expected a function"),
        ("check=3", "check is 3; expected an async function or None"),
        ("settings=Needy", "settings Needy has no default for url"),
        ("params=Odd", "making params Odd raised"),
    ],
)
def test_a_record_with_a_wrong_field_is_refused_by_its_name(shelf: Any, fields: str, told: str) -> None:
    shelf.install(
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
    assert told in error(discover(), "bad")


@pytest.mark.parametrize("name", ["Hello", "9lives", "he-llo", "h.ello", "server", "api", "callback_url", "run", "max"])
def test_a_bad_or_reserved_name_is_failed_without_an_import(shelf: Any, name: str) -> None:
    """Contract §7: "A plugin may not be named `server`, `api`, `agent`, …"."""
    shelf.install(name, "raise AssertionError('imported')", distribution="candy-named")
    assert "name" in error(discover(), name)
    assert "candy_named" not in sys.modules


@given(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True))
def test_any_other_word_is_a_fine_name(name: str) -> None:
    try:
        check_name(name)
    except PluginFault as fault:
        assert "reserved" in str(fault)  # noqa: PT017  # either outcome is fine, one of them has a text


@given(st.text(max_size=8).filter(lambda text: not text.isascii() or not text.replace("_", "a").isalnum()))
def test_what_no_environment_prefix_can_hold_is_no_name(name: str) -> None:
    with pytest.raises(PluginFault):
        check_name(name)


def test_a_plugin_for_a_newer_core_is_failed_without_an_import(shelf: Any) -> None:
    shelf.install("newer", "raise AssertionError('imported')", requires=["Candy_Core >= 7, <8"])
    shelf.install("fits", GOOD.replace("good", "fits"), requires=["candy-core>=1.5"])
    shelf.install(
        "extra",
        GOOD.replace("good", "extra"),
        requires=["candy-core>=9; extra == 'future'", "!! not one"],
    )
    shelf.install("puzzle", "raise AssertionError('imported')", requires=["candy-core>9; python_version ~= 'x'"])
    registry = discover(core_version="2.0rc1")
    assert "reading its requirements raised" in error(registry, "puzzle")
    assert error(registry, "newer") == "requires candy-core<8,>=7, and this is candy-core 2.0rc1"
    assert "shelf_newer" not in sys.modules
    assert record(registry, "fits").state is PluginState.ACTIVE
    assert registry.executors["extra"].plugin == "extra"


def test_a_blocked_plugin_is_not_even_imported(shelf: Any) -> None:
    package = shelf.install("dull", "raise AssertionError('imported')")
    blocked = record(discover(blocked=["dull"]), "dull")
    assert (blocked.state, blocked.error, blocked.provides) == (PluginState.BLOCKED, None, ())
    assert package not in sys.modules


def test_two_distributions_with_one_plugin_name_serve_neither_until_one_is_blocked(shelf: Any) -> None:
    """The configuration knows a plugin by its name alone, so a distribution's name must do for this."""
    shelf.install("twin", GOOD, distribution="candy-one", version="1.0")
    shelf.install("twin", GOOD, distribution="candy-two", version="2.0")
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


def test_two_executors_with_one_alias_lose_that_alias_alone(shelf: Any) -> None:
    shelf.install("left", CLASHING.format(own="left"))
    shelf.install("right", CLASHING.format(own="right"), version="3.1")
    registry = discover()
    assert "shared" not in registry.executors
    assert {"left", "left_more", "right", "right_more"} <= set(registry.executors)
    for name in ("left", "right"):
        plugin = record(registry, name)
        assert plugin.state is PluginState.ACTIVE
        assert plugin.provides == (f"executor:{name}", f"executor:{name}_more")
        assert "executor 'shared' is announced by both" in str(plugin.error)
        assert "left (shelf-left 1.0) and right (shelf-right 3.1)" in str(plugin.error)
        assert "CANDY_PLUGINS_BLOCKED" in str(plugin.error)
    registry = discover(blocked=["left"])
    assert registry.executors["shared"].plugin == "right"
    assert record(registry, "right").error is None


def test_a_plugin_that_a_clash_leaves_with_nothing_is_failed(shelf: Any) -> None:
    for name in ("left", "right"):
        shelf.install(name, "@hookimpl\ndef candy_executors():\n    return [greeter('same')]")
    registry = discover()
    assert "same" not in registry.executors
    assert "shelf-left 1.0" in error(registry, "right")
    assert "shelf-right 1.0" in error(registry, "left")


def test_an_executor_that_lost_its_name_still_serves_its_alias(shelf: Any) -> None:
    shelf.install("left", "@hookimpl\ndef candy_executors():\n    return [greeter('same', aliases=('left_too',))]")
    shelf.install("right", "@hookimpl\ndef candy_executors():\n    return [greeter('right', aliases=('same',))]")
    registry = discover()
    assert record(registry, "left").provides == ("executor:left_too",)
    assert record(registry, "left").state is PluginState.ACTIVE
    assert {"left_too", "right"} <= set(registry.executors)
    assert "same" not in registry.executors


def test_a_name_announced_twice_by_one_plugin_is_not_served(shelf: Any) -> None:
    shelf.install("twice", "@hookimpl\ndef candy_executors():\n    return [greeter('x'), greeter('x'), greeter('y')]")
    registry = discover()
    assert "announced twice by twice (shelf-twice 1.0)" in str(record(registry, "twice").error)
    assert "x" not in registry.executors
    assert "y" in registry.executors


def test_two_reporters_with_one_format_lose_that_format_and_never_get_every_task(shelf: Any) -> None:
    """A reporter without formats is given every task: one that lost all of its own must not become one."""
    shelf.install("left", "@hookimpl\ndef candy_reporters():\n    return [teller('left', formats=('f', 'g'))]")
    shelf.install("right", "@hookimpl\ndef candy_reporters():\n    return [teller('right', formats=('f',))]")
    shelf.install("every", "@hookimpl\ndef candy_reporters():\n    return [teller('every')]")
    registry = discover()
    assert registry.reporters["left"].spec.formats == ("g",)
    assert "right" not in registry.reporters
    assert registry.reporters["every"].spec.formats == ()
    assert record(registry, "left").provides == ("reporter:left",)
    assert "reporter format 'f'" in error(registry, "right")


def test_one_distribution_may_carry_several_plugins_and_any_object_may_be_one(shelf: Any) -> None:
    shelf.install(
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
        entry="many_one = shelf_many:one\nmany_two = shelf_many:two\nmany_none = shelf_many:nothing\n"
        "many_lost = shelf_many:lost\nmany_odd = a b c",
    )
    registry = discover()
    assert registry.executors["one"].plugin == "many_one"
    assert registry.executors["two"].plugin == "many_two"
    assert "names None" in error(registry, "many_none")
    assert "AttributeError" in error(registry, "many_lost")
    assert "its import raised" in error(registry, "many_odd")


def test_a_plugin_object_with_an_equality_of_its_own_is_served(shelf: Any) -> None:
    shelf.install(
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
        entry="odd = shelf_odd:plugin",
    )
    assert discover().executors["odd"].plugin == "odd"


def test_a_record_that_raises_when_it_is_looked_at_is_the_plugins_fault(shelf: Any) -> None:
    shelf.install(
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
    assert "asking what it announces raised" in error(discover(), "bad")


def test_broken_metadata_of_one_distribution_hides_no_other(shelf: Any) -> None:
    shelf.install("good", GOOD)
    shelf.describe("candy-garbage", "1.0", "[candy]\nthis line has no equals sign\n")
    (shelf.describe("candy-nameless", "1.0", "[candy]\nnameless = candy_nameless\n") / "METADATA").unlink()
    registry = discover()
    assert record(registry, "good").state is PluginState.ACTIVE
    assert "metadata" in error(registry, "nameless")


def test_plugins_that_share_a_top_level_package_are_told_apart(shelf: Any) -> None:
    root: Path = shelf.folder / "acme"
    root.mkdir()
    for name in ("disk", "net"):
        shelf.install(name, GOOD.replace("good", name).replace("bon", f"{name}2").replace("Good", f"{name}3"))
        (shelf.folder / f"shelf_{name}").rename(root / name)
        shelf.describe(f"shelf-{name}", "1.0", f"[candy]\n{name} = acme.{name}\n")
    packages = discover().packages
    assert {key: packages[key] for key in packages if key.startswith("acme")} == {
        "acme.disk": "disk",
        "acme.net": "net",
    }


def test_what_a_plugin_prints_while_loading_stays_off_stdout(shelf: Any) -> None:
    """Contract §7: 'every other command keeps stdout for its answer'."""
    shelf.install("loud", "print('import')\n@hookimpl\ndef candy_executors():\n    print('hook')\n    return []")
    program = (
        "from candy_core.registry import discover; print([p.name for p in discover().plugins if p.name == 'loud'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(shelf.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['loud']\n"
    assert "import\nhook" in done.stderr


def test_an_interrupt_from_the_keyboard_is_not_swallowed(shelf: Any) -> None:
    shelf.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        discover()


def test_a_problem_in_required_params_is_no_fault_of_the_plugin(shelf: Any) -> None:
    shelf.install(
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
