"""Importing the kit must be cheap: rule backends import it when they are listed."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_kit_imports_neither_the_http_client_nor_the_parser() -> None:
    code = "import sys, candy_kit_rules; sys.exit(bool({'aiohttp', 'promql_parser'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
