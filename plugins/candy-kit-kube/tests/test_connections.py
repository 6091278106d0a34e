"""Which cluster is used, and what happens when the configuration changes while the agent runs."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme

from candy_core import BackendUnavailable, Forbidden
from candy_kit_kube import Cluster
from candy_kit_kube.connection_cache import RECHECK_SECONDS, RETRY_SECONDS, ConnectionCache
from candy_kit_kube.kubeconfig import UnusableConfig, read_kubeconfig
from candy_kit_kube.settings import ClusterSettings, Environment
from candy_testbed import eventually

Write = Callable[..., Path]
SECRET = "very-secret-token-of-the-agent"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def connection_cache(kubeconfig: Path | None, tmp_path: Path, clock: Clock, **environ: str) -> ConnectionCache:
    environment = Environment(environ=environ, home=tmp_path / "home", service_account=tmp_path / "account")
    settings = ClusterSettings(kubeconfig=kubeconfig)
    return ConnectionCache(settings, environment, ssl.create_default_context, structlog.get_logger(), clock)


async def echo_credential(peer: Any) -> None:
    """Responds with the credential of the request."""
    await peer.answer({"gitVersion": peer.request.headers.get("authorization", "none")})


async def credential_sent(cluster: Cluster) -> str:
    """The credential that the API server receives."""
    found: Any = await cluster.request("GET", "/version")
    return str(found["gitVersion"])


async def test_precedence_of_setting_variable_home_and_pod(
    serve: Any, kubeconfig: Write, open_kube: Any, tmp_path: Path
) -> None:
    """Contract §7: `KUBECONFIG`, else `~/.kube/config`, else in-cluster."""
    server = await serve(echo_credential)
    config = {name: kubeconfig(server.url, name, user={"token": name}) for name in ("setting", "variable", "own")}
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    environ = {"KUBECONFIG": str(config["variable"])}
    config["own"].rename(home / ".kube" / "config")
    assert await credential_sent(await open_kube(config["setting"], environ=environ)) == "Bearer setting"
    assert await credential_sent(await open_kube(environ=environ)) == "Bearer variable"
    assert await credential_sent(await open_kube()) == "Bearer own"


async def test_a_pod_uses_its_service_account_and_a_rotated_token(
    kube_cluster: Any, kube_namespace: str, open_kube: Any, tmp_path: Path
) -> None:
    """Contract §7: in-cluster. Kubernetes rotates the token of a pod every hour."""
    account = tmp_path / "service_account"
    account.mkdir()
    (account / "ca.crt").write_bytes(kube_cluster.ca_file.read_bytes())
    (account / "token").write_text("an-expired-token")
    host, _, port = kube_cluster.url.removeprefix("https://").partition(":")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    cluster = await open_kube(environ=environ)
    path = f"/api/v1/namespaces/{kube_namespace}/pods"
    with pytest.raises(Forbidden, match="401"):
        await cluster.request("GET", path)
    fresh = tmp_path / "fresh"
    fresh.write_text(kube_cluster.service_account_token(kube_namespace, "agent"))
    fresh.rename(account / "token")
    with pytest.raises(Forbidden, match="serviceaccount:"):  # authenticated now, but without permissions
        await cluster.request("GET", path)


async def test_a_rejected_token_is_read_again_once(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """A rotated token fails no call; a wrong one is not retried forever."""
    valid = "first"

    async def answer(peer: Any) -> None:
        if peer.request.headers.get("authorization") == f"Bearer {valid}":
            await echo_credential(peer)
        else:
            await peer.answer({"kind": "Status", "code": 401}, "401 Unauthorized")

    server = await serve(answer)
    path = kubeconfig(server.url, user={"token": "first"})
    cluster = await open_kube(path)
    assert await credential_sent(cluster) == "Bearer first"
    valid = "second one"
    kubeconfig(server.url, user={"token": "second one"})
    assert await asyncio.gather(*(credential_sent(cluster) for _ in range(5))) == ["Bearer second one"] * 5
    kubeconfig(server.url, user={"token": "the third, wrong"})
    valid = "another"
    server.requests.clear()
    with pytest.raises(Forbidden):
        await credential_sent(cluster)
    assert [request.headers["authorization"] for request in server.requests] == [
        "Bearer second one",
        "Bearer the third, wrong",
    ]


async def test_without_a_kubeconfig_every_call_fails_until_there_is_one(
    kube_cluster: Any, tmp_path: Path, open_kube: Any
) -> None:
    """Contract §7: none of them: everything but Kubernetes works. The cluster is picked up when it appears."""
    cluster = await open_kube()
    with pytest.raises(BackendUnavailable, match="KUBECONFIG"):
        await cluster.request("GET", "/version")
    assert not (await cluster.check()).ok
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    kube_cluster.write_kubeconfig(tmp_path / "home" / ".kube" / "config")

    async def found() -> bool:
        return bool((await cluster.check()).ok)

    await eventually(found)
    assert (await cluster.check()).detail.startswith("v1.")


async def test_a_missing_cluster_is_searched_for_every_few_seconds(kubeconfig: Write, tmp_path: Path) -> None:
    """Not at every call."""
    clock = Clock()
    connections = connection_cache(tmp_path / "kubeconfig", tmp_path, clock)
    with pytest.raises(BackendUnavailable, match="there is no kubeconfig") as caught:
        await connections.get()
    assert caught.value.retry_after == RETRY_SECONDS
    kubeconfig("http://127.0.0.1:1")
    with pytest.raises(BackendUnavailable):
        await connections.get()
    clock.now += RETRY_SECONDS
    assert (await connections.get()).host == "127.0.0.1:1"


async def test_a_changed_kubeconfig_is_read_again(kubeconfig: Write, tmp_path: Path) -> None:
    """The files are checked every few seconds, and immediately after a failed connection."""
    clock = Clock()
    path = kubeconfig("http://127.0.0.1:1")
    connections = connection_cache(path, tmp_path, clock)
    first = await connections.get()
    kubeconfig("http://127.0.0.1:22")
    assert await connections.get() is first
    clock.now += RECHECK_SECONDS
    second = await connections.get()
    assert second.host == "127.0.0.1:22"
    clock.now += RECHECK_SECONDS
    assert await connections.get() is second, "an unchanged connection is kept"
    kubeconfig("http://127.0.0.1:333")
    connections.invalidate()
    assert (await connections.get()).host == "127.0.0.1:333"
    path.write_text("nonsense")
    clock.now += RECHECK_SECONDS
    with pytest.raises(BackendUnavailable, match="expected a kubeconfig"):
        await connections.get()
    kubeconfig("http://127.0.0.1:4444")
    clock.now += RETRY_SECONDS
    assert (await connections.get()).host == "127.0.0.1:4444"


async def test_a_cluster_that_has_moved_is_found_by_the_call_after_a_failure(
    serve: Any, kubeconfig: Write, open_kube: Any
) -> None:
    """After a failed connection the files are checked immediately, and not only after ten seconds."""
    cluster = await open_kube(kubeconfig("http://127.0.0.1:9"))
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        await cluster.request("GET", "/version")
    kubeconfig((await serve(echo_credential)).url)
    assert await credential_sent(cluster) == "none"


def test_of_several_files_the_first_to_define_an_entry_wins(kubeconfig: Write, tmp_path: Path) -> None:
    """As kubectl merges them, including current-context; missing files are skipped."""
    (tmp_path / "b").mkdir()
    one = kubeconfig("https://one:1", "one", cluster={"certificate-authority": "ca.crt"}, user={"token": "1"})
    two = kubeconfig("https://two:2", "b/two", user={"client-key": "keys/a.key", "token": "2"})
    third = tmp_path / "third"
    third.write_text(
        json.dumps({"current-context": "other", "contexts": [{"name": "other", "context": {"cluster": "c"}}]})
    )
    empty = tmp_path / "empty"
    empty.write_text("")
    missing = tmp_path / "missing"
    found = read_kubeconfig([missing, empty, one, two, third], None)
    assert (found.cluster["server"], found.user["token"]) == ("https://one:1", "1")
    assert found.cluster["certificate-authority"] == str(tmp_path / "ca.crt"), "relative to the file's folder"
    assert read_kubeconfig([two, one], None).user["client-key"] == str(tmp_path / "b" / "keys" / "a.key")
    chosen = read_kubeconfig([one, third], "other")
    assert (chosen.cluster["server"], chosen.user) == ("https://one:1", {})
    assert read_kubeconfig([third, one], None).user == {}
    with pytest.raises(UnusableConfig, match="no context named 'unknown'"):
        read_kubeconfig([one], "unknown")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"users: [{{name: u, user: {{token: {SECRET}", r"kubeconfig: line \d, column \d+: not YAML"),
        (f"a: b: {SECRET}", r"line 1, column \d+: not YAML"),
        (
            f"users: [\n{{name: u, user: {{token: {SECRET}, token: {SECRET}}}}}]",
            "kubeconfig: line 2: duplicate key 'token'",
        ),
        (f"- {SECRET}", "expected a kubeconfig"),
        (f'{{"users": [{{"name": "{SECRET}"}}]}}', "current-context"),
        ('{"current-context": "x"}', "no context named 'x'"),
        (b"\xff\xfe\x00\x00" + SECRET.encode(), "not UTF-8"),
    ],
)
async def test_an_unusable_kubeconfig_is_named_and_not_quoted(
    content: Any, words: str, tmp_path: Path, open_kube: Any
) -> None:
    """Errors say where the problem is and what was expected; no error or log contains a secret."""
    path = tmp_path / "kubeconfig"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with structlog.testing.capture_logs() as logs:
        cluster = await open_kube(path)
        with pytest.raises(BackendUnavailable, match=words) as caught:
            await cluster.request("GET", "/version")
    assert SECRET not in f"{caught.value!r} {logs}"


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"cluster": {"server": ""}}, "server"),
        ({"cluster": {"server": f"https://admin:{SECRET}@host"}}, "without a user"),
        ({"cluster": {"server": "ftp://host"}}, "server"),
        ({"cluster": {"proxy-url": f"socks5://u:{SECRET}@host"}}, "proxy-url"),
        ({"cluster": {"insecure-skip-tls-verify": "yes"}}, "insecure-skip-tls-verify.*expected true or false"),
        ({"cluster": {"certificate-authority": "missing.crt"}}, "certificate-authority"),
        ({"cluster": {"certificate-authority-data": "!"}}, "not base64"),
        ({"cluster": {"certificate-authority-data": "Cg=="}}, "empty"),
        ({"cluster": {"certificate-authority-data": "YWJj"}}, "not a certificate in PEM"),
        ({"user": {"tokenFile": "missing"}}, "tokenFile"),
        (
            {"user": {"client-key-data": base64.b64encode(SECRET.encode()).decode()}},
            "client-certificate and client-key",
        ),
        ({"user": {"token": f"{SECRET}\nX-Evil: 1"}}, "one line"),
        ({"user": {"auth-provider": {"name": "oidc", "config": {"id-token": SECRET}}}}, "user's entry"),
        ({"user": {"exec": {"args": [SECRET]}}}, "no command"),
        ({"user": {"exec": {"command": "/no/such/program", "args": [SECRET]}}}, "cannot be started"),
        ({"user": {"exec": {"command": "sh", "args": ["-c", f"echo {SECRET}"]}}}, "not JSON"),
        ({"user": {"exec": {"command": "sh", "args": ["-c", f"echo {SECRET} >&2; exit 3"]}}}, "exit code 3"),
        ({"user": {"exec": {"command": "echo", "args": ["{}"]}}}, "neither a token nor a certificate"),
        ({"user": {"exec": {"command": "cat", "args": ["/dev/zero"]}}}, "more than"),
    ],
)
async def test_an_unusable_entry_is_named_and_not_quoted(
    entries: Any, words: str, kubeconfig: Write, open_kube: Any
) -> None:
    """Errors say where the problem is and what was expected; no error or log contains a secret."""
    with structlog.testing.capture_logs() as logs:
        cluster = await open_kube(kubeconfig("https://127.0.0.1:1", **entries), environ={"PATH": os.environ["PATH"]})
        with pytest.raises(BackendUnavailable, match=words) as caught:
            await cluster.request("GET", "/version")
    assert SECRET not in f"{caught.value!r} {logs}"


async def test_passwords_and_token_files_are_sent(
    serve: Any, kubeconfig: Write, open_kube: Any, tmp_path: Path
) -> None:
    """The credentials that a kubeconfig may have."""
    server = await serve(echo_credential)
    plain = await open_kube(kubeconfig(server.url, user={"username": "u", "password": "p"}))
    assert await credential_sent(plain) == "Basic " + base64.b64encode(b"u:p").decode()
    (tmp_path / "token").write_text("of-the-file\n")
    assert (
        await credential_sent(await open_kube(kubeconfig(server.url, user={"tokenFile": "token"})))
        == "Bearer of-the-file"
    )
    assert await credential_sent(await open_kube(kubeconfig(server.url))) == "none"


PROGRAM = """
import json, os, sys
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
count = os.path.join(os.path.dirname(__file__), "count")
runs = len(open(count).read()) if os.path.exists(count) else 0
open(count, "a").write("x")
own = sorted(name for name in os.environ if name.startswith("CANDY_"))
token = f"{runs}{own}{os.environ['ADDED']}{info['spec']['cluster']['server'][:4]}"
status = {"token": token, "expirationTimestamp": "2999-01-01T00:00:00Z"}
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": status}))
"""


async def test_a_credential_plugin_is_run_again_when_its_token_is_rejected(
    serve: Any, kubeconfig: Write, open_kube: Any, tmp_path: Path
) -> None:
    """client.authentication.k8s.io; and the child's environment contains no secret of the agent."""
    (tmp_path / "program.py").write_text(PROGRAM)
    accepted = "0"

    async def answer(peer: Any) -> None:
        if peer.request.headers["authorization"].startswith(f"Bearer {accepted}"):
            await echo_credential(peer)
        else:
            await peer.answer({"kind": "Status", "code": 401}, "401 Unauthorized")

    config = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(tmp_path / "program.py")],
        "env": [{"name": "ADDED", "value": "a"}],
        "provideClusterInfo": True,
    }
    path = kubeconfig((await serve(answer)).url, user={"exec": config})
    cluster = await open_kube(path, environ={"CANDY_API_KEY": SECRET})
    assert await credential_sent(cluster) == "Bearer 0[]ahttp"
    accepted = "1"
    assert not (await cluster.check()).ok, "it was run a moment ago"
    connections = cluster._session.connections
    connections._found_at -= RETRY_SECONDS
    assert await credential_sent(cluster) == "Bearer 1[]ahttp"


async def test_a_credential_plugin_is_killed_with_the_call_that_runs_it(
    kubeconfig: Write, open_kube: Any, sleepers: Any
) -> None:
    """The port: nothing of a canceled call keeps running."""
    config = {"command": "sh", "args": ["-c", f"sleep {sleepers.seconds} & sleep {sleepers.seconds}"]}
    path = kubeconfig("http://127.0.0.1:1", user={"exec": config})
    cluster = await open_kube(path, timeout=60, environ={"PATH": os.environ["PATH"]})
    call = asyncio.ensure_future(cluster.request("GET", "/version"))

    await sleepers.started(2)
    await asyncio.sleep(0.1)  # the loop has the process in hand, too
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: not sleepers())


def keys_on_disk() -> set[Path]:
    """The temporary files from which OpenSSL reads a client's key."""
    return set(Path(tempfile.gettempdir()).glob("candy-agent-key-*"))


@pytest.fixture
def tls(tmp_path: Path) -> Any:
    """A server's TLS context that requires a client certificate, the authority, a client's certificate and key."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.example.com").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    client = authority.issue_cert("agent@example.com")
    ca, key = authority.cert_pem.bytes(), client.private_key_pem.bytes()
    return context, ca, client.cert_chain_pems[0].bytes(), key


@pytest.mark.parametrize("inline", [False, True])
async def test_a_client_certificate_is_presented_and_leaves_no_key_on_the_disk(
    serve: Any, kubeconfig: Write, open_kube: Any, tmp_path: Path, tls: Any, inline: bool
) -> None:
    """Kubeconfig: client-certificate and client-key, as files or as data; tls-server-name is the expected name."""
    before = await asyncio.to_thread(keys_on_disk)
    context, *contents = tls
    names = ("certificate-authority", "client-certificate", "client-key")
    values: dict[str, str] = {}
    for name, content in zip(names, contents, strict=True):
        (tmp_path / name).write_bytes(content)
        values |= {f"{name}-data": base64.b64encode(content).decode()} if inline else {name: name}
    server = await serve(echo_credential, ssl=context)
    cluster_entry = {key: value for key, value in values.items() if "authority" in key}
    user = {key: value for key, value in values.items() if "client" in key}
    named = {**cluster_entry, "tls-server-name": "api.example.com"}
    assert await credential_sent(await open_kube(kubeconfig(server.url, cluster=named, user=user))) == "none"
    with pytest.raises(BackendUnavailable, match="certificate is not trusted"):
        await credential_sent(await open_kube(kubeconfig(server.url, cluster=cluster_entry, user=user)))
    insecure = {"insecure-skip-tls-verify": True}
    assert await credential_sent(await open_kube(kubeconfig(server.url, cluster=insecure, user=user))) == "none"
    with pytest.raises(BackendUnavailable):
        await credential_sent(await open_kube(kubeconfig(server.url, cluster=named)))

    async def gone() -> bool:  # another test may have a temporary file at this moment
        return await asyncio.to_thread(keys_on_disk) <= before

    await eventually(gone)
