"""Checks rule files with Prometheus' and VictoriaMetrics' own tools, to compare ours with."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from candy_testbed.server import MissingServer

_RULE = re.compile(r'group "(?P<group>[^"]*)", rule \d+, "(?P<rule>[^"]*)": (?P<what>.*)')


def promtool_output(groups: Sequence[Any]) -> str:
    """What ``promtool check rules`` finds wrong, ``""`` if nothing; including lint errors such as a duplicate rule."""
    return _output_of("promtool", "prometheus", ["check", "rules", "--lint-fatal"], groups)


def promtool_errors(groups: Sequence[Any]) -> dict[str, str]:
    """The errors of ``promtool check rules`` by the name of the rule; names must be unique."""
    return {match["rule"]: match["what"] for match in _RULE.finditer(promtool_output(groups))}


def vmalert_output(groups: Sequence[Any]) -> str:
    """What ``vmalert -dryRun`` finds wrong, ``""`` if nothing."""
    return _output_of("vmalert", "victoria-metrics", ["-dryRun", "-rule"], groups)


def _output_of(program: str, package: str, arguments: Sequence[str], groups: Sequence[Any]) -> str:
    executable = shutil.which(program)
    if executable is None:
        raise MissingServer(program, package)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rules.yml"
        file.write_text(json.dumps({"groups": list(groups)}, ensure_ascii=False))  # JSON is YAML
        done = subprocess.run([executable, *arguments, str(file)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr or "it failed"
