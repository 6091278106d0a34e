"""Credential plugins: programs named in a kubeconfig that print a token or a certificate.

The protocol is ``client.authentication.k8s.io`` (ExecCredential). The ``kubernetes`` package implements it too, but
leaves the program running when its caller is canceled, and passes the agent's own secrets in the environment.
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
from candy_kit_kube.json_values import as_list, as_object, as_text, as_time
from candy_kit_kube.kubeconfig import UnusableConfig

_MAX_OUTPUT = 1024 * 1024
"""Bytes of output."""


@frozen(kw_only=True)
class ExecCredential:
    """What the program printed: a token, or a certificate with its key (PEM), and when it expires."""

    token: str = field(repr=False)
    certificate: str = field(repr=False)
    key: str = field(repr=False)
    expires: datetime | None


async def run_credential_plugin(
    config: Mapping[str, Json], folder: Path, environ: Mapping[str, str], cluster: Mapping[str, Json]
) -> ExecCredential:
    """Run the program and read its output; it is killed when the caller is canceled.

    As in kubectl, a relative path with a slash is relative to ``folder``. The program gets the agent's environment
    without the variables ``CANDY_…``. Raises :class:`UnusableConfig`, whose message never repeats the output.
    """
    command = as_text(config.get("command"))
    if not command:
        raise UnusableConfig("a credential plugin (exec) of the kubeconfig has no command")
    program = str(folder / command) if "/" in command else command
    arguments = [each for each in as_list(config.get("args")) if isinstance(each, str)]
    name = f"the credential plugin {command}"
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=_environment(config, environ, cluster),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_MAX_OUTPUT,
            start_new_session=True,
        )
    except OSError as error:
        raise UnusableConfig(f"{name} cannot be started: {error.strerror}") from None
    try:
        printed = await _output(process)
        code = await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if code != 0:
        raise UnusableConfig(f"{name} ended with exit code {code}")
    return _credential(printed, name)


async def _output(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None  # noqa: S101 stdout=PIPE
    printed = bytearray()
    while piece := await process.stdout.read(65536):
        printed += piece
        if len(printed) > _MAX_OUTPUT:
            raise UnusableConfig(f"a credential plugin printed more than {_MAX_OUTPUT} bytes")
    return bytes(printed)


def _environment(config: Mapping[str, Json], environ: Mapping[str, str], cluster: Mapping[str, Json]) -> dict[str, str]:
    inherited = {name: value for name, value in environ.items() if not name.startswith("CANDY_")}
    added = {
        as_text(as_object(each).get("name")): as_text(as_object(each).get("value"))
        for each in as_list(config.get("env"))
    }
    added.pop("", None)
    spec: dict[str, Json] = {"interactive": False}
    if config.get("provideClusterInfo") is True:
        spec["cluster"] = dict(cluster)
    info = {"apiVersion": as_text(config.get("apiVersion")), "kind": "ExecCredential", "spec": spec}
    return inherited | added | {"KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}


def _credential(printed: bytes, name: str) -> ExecCredential:
    try:
        answer = orjson.loads(printed)
    except ValueError:
        raise UnusableConfig(f"{name} printed something that is not JSON") from None
    status = as_object(as_object(answer).get("status"))
    found = ExecCredential(
        token=as_text(status.get("token")),
        certificate=as_text(status.get("clientCertificateData")),
        key=as_text(status.get("clientKeyData")),
        expires=as_time(status.get("expirationTimestamp")),
    )
    if not found.token and not (found.certificate and found.key):
        raise UnusableConfig(f"{name} printed neither a token nor a certificate with its key")
    if found.expires is not None and found.expires.tzinfo is None:
        raise UnusableConfig(f"{name} printed an expirationTimestamp without a time zone")
    return found


def seconds_until(moment: datetime | None) -> float | None:
    """Seconds from now, ``None`` for ``None``."""
    return None if moment is None else (moment - datetime.now(UTC)).total_seconds()
