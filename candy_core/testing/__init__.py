"""Suites of tests for plugins, and what they are built on; ``pip install candy-core[testing]`` brings what they need.

Subclass a suite in a test module of yours, say what your plugin is given, and pytest does the rest:

- :mod:`candy_core.testing.executor`: executors and batch executors (``ExecutorSuite``);
- :mod:`candy_core.testing.rule_backend`: rule backends (``RuleBackendSuite``);
- :mod:`candy_core.testing.task_store`: task stores (``TaskStoreSuite``);
- :mod:`candy_core.testing.context`: the context of a plugin that a test opens itself.
"""
