"""A person at a terminal: the real kubectl."""

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
class Said:
    """What a command answered: its exit code and what it wrote."""

    code: int
    out: bytes
    error: str

    @property
    def object(self) -> Any:
        """The object that it printed (``-o json``)."""
        assert self.code == 0, self.error
        return json.loads(self.out)


@frozen
class Kubectl:
    """Calls kubectl with a kubeconfig; ``home`` is a folder for what it keeps between two calls.

    Raises :class:`MissingServer` at once where it is not installed.
    """

    kubeconfig: Path
    home: Path

    def __attrs_post_init__(self) -> None:
        if shutil.which("kubectl") is None:
            raise MissingServer("kubectl", "kubernetes-client")

    async def __call__(self, *arguments: str, send: object = None, editor: str = "false") -> Said:
        """Run ``kubectl ARGUMENTS``, with an object on its standard input, and ``editor`` as its EDITOR, a command."""
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
            out, error = await process.communicate(b"" if send is None else json.dumps(send).encode())
        finally:
            if process.returncode is None:
                process.kill()
        return Said(process.returncode or 0, out, error.decode())

    async def read(self, kind: str, name: str, namespace: str) -> Any:
        """An object as it is now."""
        return (await self("get", kind, name, "--namespace", namespace, "--output", "json")).object

    async def replace(self, changed: object) -> Said:
        """Replace an object by another of the same name; with a version in it, only the object of that version."""
        return await self("replace", "--filename", "-", "--output", "json", send=changed)
