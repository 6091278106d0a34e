"""Contract suites for plugins, and their tools. ``pip install candy-core[testing]`` installs what they need.

Subclass a suite in a test module, describe your plugin in a fixture, and pytest does the rest:

- :mod:`candy_core.testing.executor`: executors and batch executors (``ExecutorSuite``);
- :mod:`candy_core.testing.rule_backend`: rule backends (``RuleBackendSuite``);
- :mod:`candy_core.testing.task_store`: task stores (``TaskStoreSuite``);
- :mod:`candy_core.testing.context`: the context for a plugin that a test opens itself.
"""
