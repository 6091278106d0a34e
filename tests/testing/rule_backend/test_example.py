"""The example in the suite's documentation runs as it is."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

from candy_core.testing import rule_backend


def test_the_example_passes_every_test_that_it_has_the_fields_for(tmp_path: Path) -> None:
    assert rule_backend.__doc__ is not None
    found = re.search(r"::\n\n((?:    .*\n|\n)+)", rule_backend.__doc__)
    assert found is not None
    (tmp_path / "test_notebook.py").write_text(textwrap.dedent(found[1]))
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-W", "error", "test_notebook.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = re.findall(r"^SKIPPED \[\d+\] \S+: Subject\.(\w+) is not given: ", done.stdout, re.MULTILINE)
    assert sorted(skipped) == ["own", "secrets", "unreachable"], done.stdout
