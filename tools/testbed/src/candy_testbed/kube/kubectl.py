"""Runs the real kubectl, as a user at a terminal does."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

from attrs import frozen

from candy_testbed.server import MissingServer


@frozen
class KubectlResult:
    """The exit code and the output of a command."""

    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def object(self) -> Any:
        """The object that it printed (``-o json``)."""
        assert self.exit_code == 0, self.stderr
        return json.loads(self.stdout)


@frozen
class Kubectl:
    """Calls kubectl with a kubeconfig; ``home`` is its home folder, where it caches between calls.

    Raises :class:`MissingServer` at once where it is not installed.
    """

    kubeconfig: Path
    home: Path

    def __attrs_post_init__(self) -> None:
        if shutil.which("kubectl") is None:
            raise MissingServer("kubectl", "kubernetes-client")

    async def __call__(self, *arguments: str, stdin: object = None, editor: str = "false") -> KubectlResult:
        """Run ``kubectl ARGUMENTS``, with ``stdin`` as JSON; ``editor`` is its editor command."""
        process = await asyncio.create_subprocess_exec(
            "kubectl",
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "KUBECONFIG": str(self.kubeconfig),
                "KUBE_EDITOR": editor,
            },
        )
        try:
            stdout, stderr = await process.communicate(b"" if stdin is None else json.dumps(stdin).encode())
        finally:
            if process.returncode is None:
                process.kill()
        return KubectlResult(process.returncode or 0, stdout, stderr.decode())

    async def read(self, kind: str, name: str, namespace: str) -> Any:
        """The current state of an object."""
        return (await self("get", kind, name, "--namespace", namespace, "--output", "json")).object

    async def replace(self, changed: object) -> KubectlResult:
        """Replace an object. If ``changed`` has a resourceVersion, the object must still have it."""
        return await self("replace", "--filename", "-", "--output", "json", stdin=changed)
