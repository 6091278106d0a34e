"""Credential plugins: programs that a kubeconfig names and that print a token or a certificate.

The protocol is that of ``client.authentication.k8s.io`` (ExecCredential). The ``kubernetes`` package has it too, but
leaves the program running when its caller is canceled, and hands it the agent's own secrets in the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson
from attrs import field, frozen

from candy_core import Json
from candy_kit_kube.json_values import elements, members, text, time
from candy_kit_kube.kubeconfig import Unusable

_LARGEST = 1024 * 1024
"""Bytes of an answer."""


@frozen(kw_only=True)
class ExecCredential:
    """What the program said: a token, or a certificate with its key (PEM), and until when."""

    token: str = field(repr=False)
    certificate: str = field(repr=False)
    key: str = field(repr=False)
    expires: datetime | None


async def run_credential_plugin(
    config: Mapping[str, Json], folder: Path, environ: Mapping[str, str], cluster: Mapping[str, Json]
) -> ExecCredential:
    """Run the program and read what it prints; when the caller is canceled, it is killed.

    A relative path with a slash starts from ``folder``, as kubectl has it. The program gets the agent's environment
    without what is the agent's own (``CANDY_…``). Raises :class:`Unusable`, which never repeats what was printed.
    """
    command = text(config.get("command"))
    if not command:
        raise Unusable("a credential plugin (exec) of the kubeconfig has no command")
    program = str(folder / command) if "/" in command else command
    arguments = [each for each in elements(config.get("args")) if isinstance(each, str)]
    what = f"the credential plugin {command}"
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=_environment(config, environ, cluster),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LARGEST,
            start_new_session=True,
        )
    except OSError as error:
        raise Unusable(f"{what} cannot be started: {error.strerror}") from None
    try:
        printed = await _output(process)
        code = await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if code != 0:
        raise Unusable(f"{what} ended with exit code {code}")
    return _credential(printed, what)


async def _output(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None  # noqa: S101 a pipe was asked for
    printed = bytearray()
    while piece := await process.stdout.read(65536):
        printed += piece
        if len(printed) > _LARGEST:
            raise Unusable(f"a credential plugin printed more than {_LARGEST} bytes")
    return bytes(printed)


def _environment(config: Mapping[str, Json], environ: Mapping[str, str], cluster: Mapping[str, Json]) -> dict[str, str]:
    inherited = {name: value for name, value in environ.items() if not name.startswith("CANDY_")}
    added = {text(members(each).get("name")): text(members(each).get("value")) for each in elements(config.get("env"))}
    added.pop("", None)
    spec: dict[str, Json] = {"interactive": False}
    if config.get("provideClusterInfo") is True:
        spec["cluster"] = dict(cluster)
    info = {"apiVersion": text(config.get("apiVersion")), "kind": "ExecCredential", "spec": spec}
    return inherited | added | {"KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}


def _credential(printed: bytes, what: str) -> ExecCredential:
    try:
        answer = orjson.loads(printed)
    except ValueError:
        raise Unusable(f"{what} printed something that is not JSON") from None
    status = members(members(answer).get("status"))
    found = ExecCredential(
        token=text(status.get("token")),
        certificate=text(status.get("clientCertificateData")),
        key=text(status.get("clientKeyData")),
        expires=time(status.get("expirationTimestamp")),
    )
    if not found.token and not (found.certificate and found.key):
        raise Unusable(f"{what} gave neither a token nor a certificate with its key")
    if found.expires is not None and found.expires.tzinfo is None:
        raise Unusable(f"{what} gave an expirationTimestamp without a time zone")
    return found


def seconds_until(moment: datetime | None) -> float | None:
    """Seconds from now on, ``None`` for never."""
    return None if moment is None else (moment - datetime.now(UTC)).total_seconds()
