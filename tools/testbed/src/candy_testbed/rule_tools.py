"""Prometheus' and VictoriaMetrics' own judgement of rule files: what ours is compared with."""

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
    """What ``promtool check rules`` finds wrong, ``""`` if nothing; lint counts, as in a rule that is there twice."""
    return _output_of("promtool", "prometheus", ["check", "rules", "--lint-fatal"], groups)


def promtool_errors(groups: Sequence[Any]) -> dict[str, str]:
    """By the name of a rule, what ``promtool check rules`` finds wrong with it; names are told apart by the caller."""
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
