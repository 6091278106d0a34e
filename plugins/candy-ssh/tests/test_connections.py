"""Logging in, host keys, and hosts that fail, against real sshds."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from candy_core import Locale, Reason
from candy_testbed import Account, Sshd, eventually, ssh_certificate, ssh_keygen
from candy_testbed.fixtures import required
from candy_testbed.sleepers import Sleepers
from candy_testbed.ssh_hosts import PASSWORD, USER

ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="only root can start an sshd that checks passwords")
pytestmark = pytest.mark.usefixtures("slow_machine")
MANY = [f"127.0.1.{last}" for last in range(1, 51)]


@contextmanager
def many_hosts(ssh_keys: Path, *options: str) -> Iterator[Sshd]:
    """One server that is fifty hosts: every address of loopback, and no other network, may log in."""
    more = [*options, "AllowUsers *@127.0.0.0/8", "PasswordAuthentication no"]
    users = [Account(name="root", uid=0)] if ROOT else []  # with a shell that starts at once
    authorized = [(ssh_keys / "login.pub").read_text()]
    with required(Sshd(authorized=authorized, options=more, accounts=users, addresses=("0.0.0.0",))) as running:
        yield running


async def test_a_command_runs_as_the_credential_says(agent: Any) -> None:
    outcome = await agent.run(command="id -un")
    assert (outcome.status, outcome.reason) == ("normal", "ok")
    assert outcome.value == agent.executor.settings.credentials["login"].username


async def test_a_template_runs_without_a_shell_and_without_its_words_being_read(agent: Any, tmp_path: Path) -> None:
    outcome = await agent.run(template="uptime")
    assert float(outcome.value) > 0


async def test_runs_share_one_connection(agent: Any) -> None:
    outcomes = await asyncio.gather(*(agent.run(command=f"echo {number}") for number in range(20)))
    assert [outcome.value for outcome in outcomes] == [str(number) for number in range(20)]
    assert agent.executor.pool.opened == 1


async def test_another_user_gets_another_connection(open_agent: Any, ssh_keys: Path) -> None:
    if not ROOT:
        pytest.skip("only root can start an sshd that lets two users in")
    login = {"private_key_file": str(ssh_keys / "login")}
    users = {"a": {**login, "username": "root"}, "b": {**login, "username": USER}}
    async with open_agent(credentials=users) as agent:
        for name in ("a", "b", "a", "b"):
            outcome = await agent.run(credential=name, command="id -un")
            assert outcome.value == users[name]["username"]
        assert agent.executor.pool.opened == 2


async def test_an_unused_connection_is_closed_after_its_idle_time(open_agent: Any) -> None:
    async with open_agent(idle_time="0.2") as agent:
        await agent.run(command="true")
        await eventually(lambda: not agent.executor.pool._connections)
        await agent.run(command="true")
        assert agent.executor.pool.opened == 2


async def test_connections_beyond_the_bound_take_the_place_of_unused_ones(open_agent: Any, ssh_keys: Path) -> None:
    with many_hosts(ssh_keys) as server:
        key = dict.fromkeys(MANY, server.host_key)
        async with open_agent(host_keys=key, max_connections=5, concurrency=50) as agent:
            outcome = await agent.run(host=None, hosts=MANY, port=server.port, command="echo here")
            assert (outcome.status, outcome.stats["normal"]) == ("normal", 50), outcome.details
            assert len(agent.executor.pool._connections) <= 5


async def test_a_connection_that_died_while_it_was_idle_is_replaced(
    open_agent: Any, ssh_keys: Path, tmp_path: Path
) -> None:
    """The server is frozen, as behind a firewall that drops packets: the connection gives no error."""
    with many_hosts(ssh_keys) as server:
        pinned = dict.fromkeys(MANY[:1], (server.host_key,))
        async with open_agent(host_keys=pinned, connect_timeout="5") as agent:
            assert (await agent.run(host=MANY[0], port=server.port, command="echo 1")).value == "1"
            frozen = [int(line.split()[0]) for line in _sessions(server.pid)]
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            try:
                outcome = await agent.run(host=MANY[0], port=server.port, command="echo 2")
                assert (outcome.value, agent.executor.pool.opened) == ("2", 2), outcome
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGKILL)


def _sessions(pid: int) -> list[str]:
    """The processes that a server has started for its connections."""
    asked = ["ps", "-o", "pid=", "--ppid", str(pid)]
    return subprocess.run(asked, check=False, capture_output=True, text=True).stdout.splitlines()


# Host keys (contract §3: "host keys are always checked")


async def test_without_known_hosts_nothing_is_connected(open_agent: Any) -> None:
    async with open_agent(known_hosts=None) as agent:
        outcome = await agent.run(command="true")
        assert outcome.reason == Reason.NOT_CONFIGURED
        assert "CANDY_SSH_KNOWN_HOSTS" in outcome.message
        assert not (await agent.health()).ok


async def test_a_known_hosts_file_that_is_not_there_is_named(open_agent: Any, tmp_path: Path) -> None:
    async with open_agent(known_hosts=str(tmp_path / "nowhere")) as agent:
        outcome = await agent.run(command="true", locale=Locale.EN)
        why = f"CANDY_SSH_KNOWN_HOSTS: {tmp_path / 'nowhere'} cannot be read: No such file or directory"
        assert (outcome.reason, outcome.message) == (Reason.NOT_CONFIGURED, f"Not configured: {why}")


async def test_an_unknown_host_is_not_connected(agent: Any, sshd: Any) -> None:
    outcome = await agent.run(host="127.0.0.77", command="true")
    assert outcome.reason == Reason.HOST_KEY_MISMATCH
    assert f"[127.0.0.77]:{sshd.port}" in outcome.message, "as the file would have it"
    assert agent.executor.pool.opened == 0


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
async def test_a_changed_key_is_a_mismatch(open_agent: Any, sshd: Any, tmp_path: Path, kind: str) -> None:
    other = ssh_keygen(tmp_path / "other", kind=kind).with_name("other.pub").read_text()
    (tmp_path / "changed").write_text(f"[127.0.0.1]:{sshd.port} {other}")
    async with open_agent(known_hosts=str(tmp_path / "changed")) as agent:
        outcome = await agent.run(command="true", locale=Locale.EN)
        assert outcome.reason == Reason.HOST_KEY_MISMATCH, outcome.message
        assert agent.executor.pool.opened == 0


async def test_a_revoked_key_is_a_mismatch(open_agent: Any, sshd: Any, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_text(sshd.known_hosts() + f"@revoked * {sshd.host_key}\n")
    async with open_agent(known_hosts=str(tmp_path / "revoked")) as agent:
        assert (await agent.run(command="true")).reason == Reason.HOST_KEY_MISMATCH


async def test_a_hashed_known_hosts_file_is_read(open_agent: Any, sshd: Any, tmp_path: Path) -> None:
    hashed = tmp_path / "hashed"
    hashed.write_text(sshd.known_hosts())
    hashing = ["ssh-keygen", "-q", "-H", "-f", str(hashed)]
    await asyncio.to_thread(subprocess.run, hashing, check=True, capture_output=True)
    async with open_agent(known_hosts=str(hashed)) as agent:
        assert (await agent.run(command="true")).reason == "ok"


async def test_a_pinned_key_goes_before_the_file(open_agent: Any, sshd: Any, tmp_path: Path) -> None:
    other = ssh_keygen(tmp_path / "other").with_name("other.pub").read_text()
    async with open_agent(known_hosts=None, host_keys={f"[127.0.0.1]:{sshd.port}": [sshd.host_key]}) as agent:
        assert (await agent.run(command="true")).reason == "ok"
    async with open_agent(host_keys={"127.0.0.1": [other]}) as agent:
        assert (await agent.run(command="true")).reason == Reason.HOST_KEY_MISMATCH


async def test_a_certificate_of_the_host_authority_is_enough(open_agent: Any, ssh_keys: Path, tmp_path: Path) -> None:
    ca = ssh_keygen(tmp_path / "ca")
    public = ca.with_name("ca.pub").read_text()
    for names, reason in ((["127.0.0.1"], "ok"), (["127.0.0.2"], Reason.HOST_KEY_MISMATCH)):
        server = Sshd(authorized=[(ssh_keys / "login.pub").read_text()], host_ca=ca, host_principals=names)
        with required(server):
            async with open_agent(known_hosts=None, host_ca=[public]) as agent:
                outcome = await agent.run(port=server.port, command="true")
                assert outcome.reason == reason, outcome.message


async def test_a_known_hosts_file_that_changes_is_read_again(open_agent: Any, sshd: Any, tmp_path: Path) -> None:
    known = tmp_path / "own"
    known.write_text("")
    async with open_agent(known_hosts=str(known)) as agent:
        assert (await agent.run(command="true")).reason == Reason.HOST_KEY_MISMATCH
        known.write_text(sshd.known_hosts())
        agent.executor.host_keys._checked_at = None
        assert (await agent.run(command="true")).reason == "ok"


# Logging in


@only_root
async def test_a_password_of_todays_callers_is_taken(open_agent: Any, sshd: Any) -> None:
    """Contract §3: "``password`` or ``private_key`` … accepted from today's callers, never logged nor echoed"."""
    async with open_agent(defaults={"host": "127.0.0.1", "port": str(sshd.port)}) as agent:
        outcome = await agent.run(username=USER, password=PASSWORD, command="id -un")
        assert outcome.value == USER, outcome.message
        outcome = await agent.run(username=USER, password="wrong-word-1234", command="id -un")
        assert outcome.reason == Reason.AUTH_FAILED
        assert "wrong-word" not in repr(outcome)


async def test_a_key_of_todays_callers_is_taken(open_agent: Any, sshd: Any, ssh_keys: Path) -> None:
    async with open_agent(defaults={"host": "127.0.0.1", "port": str(sshd.port)}) as agent:
        username = agent.executor.settings.credentials["login"].username
        key = (ssh_keys / "login").read_text()
        assert (await agent.run(username=username, private_key=key, command="true")).reason == "ok"
        assert (await agent.run(username=username, private_key=key[:-80], command="true")).reason == Reason.AUTH_FAILED
        assert (await agent.run(username=username, command="true")).reason == Reason.BAD_PARAMS
        assert (await agent.run(private_key=key, command="true")).reason == Reason.BAD_PARAMS


async def test_a_key_with_a_passphrase_is_opened(open_agent: Any, tmp_path: Path) -> None:
    key = ssh_keygen(tmp_path / "locked", passphrase="open sesame")
    with required(Sshd(authorized=[key.with_name("locked.pub").read_text()])) as server:
        (tmp_path / "known").write_text(server.known_hosts())

        def named(passphrase: str) -> Any:
            login = {"private_key_file": str(key), "passphrase": passphrase}
            return open_agent(known_hosts=str(tmp_path / "known"), username=_me(), credentials={"login": login})

        async with named("open sesame") as agent:
            assert (await agent.run(port=server.port, command="true")).reason == "ok"
        async with named("close sesame") as agent:
            outcome = await agent.run(port=server.port, command="true")
            assert outcome.reason == Reason.AUTH_FAILED
            assert "sesame" not in repr(outcome)


async def test_a_certificate_lets_a_user_in(open_agent: Any, tmp_path: Path) -> None:
    ca, key = ssh_keygen(tmp_path / "ca"), ssh_keygen(tmp_path / "key")
    certificate = ssh_certificate(key, ca, principals=[_me()])
    server = Sshd(options=[f"TrustedUserCAKeys {tmp_path / 'ca.pub'}"])
    with required(server):
        (tmp_path / "known").write_text(server.known_hosts())
        login = {"username": _me(), "private_key_file": str(key)}
        for given in (str(certificate), certificate.read_text()):
            credentials = {"login": {**login, "certificate": given}}
            async with open_agent(known_hosts=str(tmp_path / "known"), credentials=credentials) as agent:
                outcome = await agent.run(port=server.port, command="true")
                assert outcome.reason == "ok", outcome.message
        async with open_agent(known_hosts=str(tmp_path / "known"), credentials={"login": login}) as agent:
            assert (await agent.run(port=server.port, command="true")).reason == Reason.AUTH_FAILED


async def test_a_credential_of_the_agents_store_is_looked_up_late(open_agent: Any, ssh_keys: Path) -> None:
    stored = {"from-store": (ssh_keys / "login").read_text(), "agent": "the-agents-own", "server": "candy-servers"}
    async with open_agent(stored=stored, username=_me()) as agent:
        assert (await agent.run(credential="from-store", command="true")).reason == "ok"
        assert (await agent.run(credential="nobody", command="true")).reason == Reason.NOT_CONFIGURED
        for own in ("agent", "server"):
            assert (await agent.run(credential=own, command="true")).reason == Reason.NOT_ALLOWED


async def test_a_credential_may_be_for_some_hosts_only(open_agent: Any, ssh_keys: Path) -> None:
    login = {"username": _me(), "private_key_file": str(ssh_keys / "login"), "hosts": "10.0.0.0/8"}
    async with open_agent(credentials={"login": login}) as agent:
        assert (await agent.run(command="true")).reason == Reason.NOT_ALLOWED


async def test_a_host_behind_another_is_reached_through_it(
    open_agent: Any, ssh_keys: Path, sshd: Any, sleepers: Sleepers
) -> None:
    """The server behind accepts only connections from the jump host."""
    jump = {"host": "127.0.0.1", "port": sshd.port, "credential": "login", "for_hosts": "127.0.0.9"}
    server = Sshd(authorized=[(ssh_keys / "login.pub").read_text()], addresses=("127.0.0.9",))
    with required(server):
        pinned = {"127.0.0.9": [server.host_key], "127.0.0.1": [sshd.host_key]}
        async with open_agent(jump_hosts={"gate": jump}, host_keys=pinned) as agent:
            outcome = await agent.run(host="127.0.0.9", port=server.port, command="echo $SSH_CONNECTION")
            assert outcome.value.split()[2:] == ["127.0.0.9", str(server.port)], outcome.message
            assert agent.executor.pool.opened == 2
            command = f"sleep {sleepers.seconds}"
            outcome = await agent.run_and_cancel(
                0.1, sleepers.started(), host="127.0.0.9", port=server.port, command=command
            )
            assert outcome.stats["terminated"] == "verified"
        pinned["127.0.0.1"] = [server.host_key]
        async with open_agent(jump_hosts={"gate": jump}, host_keys=pinned) as agent:
            outcome = await agent.run(host="127.0.0.9", port=server.port, command="true")
            assert outcome.reason == Reason.HOST_KEY_MISMATCH


# Hosts that fail


@asynccontextmanager
async def silent(
    host: str, port: int, say: bytes = b"", close: bool = False
) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Something that accepts connections, perhaps says a word, and closes or stalls; gives all of them."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(say)
        if close:
            writer.close()

    server = await asyncio.start_server(accept, host, port)
    try:
        yield writers
    finally:
        server.close()
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("say", [b"", b"SSH-2.0-stalled\r\n", b"not ssh at all\r\n" * 5])
async def test_a_stalled_banner_is_unreachable_within_the_connect_timeout(
    open_agent: Any, sshd: Any, say: bytes
) -> None:
    async with (
        silent("127.0.0.20", sshd.port, say),
        open_agent(connect_timeout="0.7", host_keys={"127.0.0.20": [sshd.host_key]}) as agent,
    ):
        outcome = await agent.run(host="127.0.0.20", command="true")
        assert outcome.reason == Reason.UNREACHABLE


async def test_those_who_wait_for_a_dead_host_wait_once(open_agent: Any, sshd: Any) -> None:
    async with (
        silent("127.0.0.20", sshd.port) as connections,
        open_agent(connect_timeout="1", host_keys={"127.0.0.20": [sshd.host_key]}) as agent,
    ):
        outcomes = await asyncio.gather(*(agent.run(host="127.0.0.20", command="true") for _ in range(20)))
        assert {outcome.reason for outcome in outcomes} == {Reason.UNREACHABLE}
        assert len(connections) == 1, "one attempt for all of them"


async def test_one_bad_host_costs_only_itself(open_agent: Any, ssh_keys: Path, tmp_path: Path) -> None:
    with many_hosts(ssh_keys) as server:
        pinned = dict.fromkeys(MANY, server.host_key)
        pinned[MANY[3]] = ssh_keygen(tmp_path / "other").with_name("other.pub").read_text().strip()
        pinned["127.0.2.1"] = pinned["127.0.2.2"] = server.host_key
        hosts = [*MANY, "127.0.2.1", "10.1.2.3", "::1"]
        pinned["::1"] = server.host_key
        async with open_agent(
            host_keys=pinned, known_hosts=None, connect_timeout="20", concurrency="20", allowed_hosts="127.0.0.0/8,::1"
        ) as agent:
            outcome = await agent.run(
                host=None, hosts=",".join(hosts), port=server.port, command="echo 7", threshold="8"
            )
    assert (outcome.status, outcome.stats["hosts"], outcome.stats["normal"]) == ("failed", 53, 50)
    lines = outcome.details.splitlines()
    assert len(lines) == 3
    assert {line.partition(": ")[0] for line in lines} == {MANY[3], "10.1.2.3", "::1"}
    assert outcome.stats["reasons"] == {"ok": 50, "host_key_mismatch": 1, "not_allowed": 1, "unreachable": 1}
    assert outcome.stats["values"][MANY[0]] == "7"


async def test_the_worst_of_many_hosts_stands_for_all(open_agent: Any, ssh_keys: Path) -> None:
    with many_hosts(ssh_keys) as server:
        pinned = dict.fromkeys(MANY, server.host_key)
        async with open_agent(host_keys=pinned) as agent:
            ask = {"host": None, "hosts": MANY[:5], "port": server.port}
            outcome = await agent.run(
                **ask,
                command="echo ${SSH_CONNECTION%% *} >/dev/null; set -- $SSH_CONNECTION; echo ${3##*.}",
                threshold="2",
                critical="4",
            )
            assert (outcome.status, outcome.value, outcome.reason) == ("critical", "5", "threshold_exceeded")
            assert outcome.message.startswith(f"3 of 5 hosts are not normal; {MANY[4]}: ")
            outcome = await agent.run(**ask, command="true", locale=Locale.ZH_CN)
            assert outcome.message == "全部 5 台主机正常"


async def test_a_server_that_refuses_a_while_is_tried_again(open_agent: Any, ssh_keys: Path, tmp_path: Path) -> None:
    """MaxStartups: refused at random while others log in."""
    server = Sshd(authorized=[(ssh_keys / "login.pub").read_text()], options=["MaxStartups 1"])
    with required(server):
        (tmp_path / "known").write_text(server.known_hosts())
        blocker = _admitted(server)
        try:
            async with open_agent(known_hosts=str(tmp_path / "known"), connect_timeout="20") as agent:
                call = asyncio.ensure_future(agent.run(port=server.port, command="echo in"))
                await asyncio.sleep(0.15)
                blocker.close()
                outcome = await call
                assert outcome.value == "in", outcome.message
            blocker = _admitted(server)
            async with open_agent(known_hosts=str(tmp_path / "known"), connect_timeout="20") as agent:
                assert (await agent.run(port=server.port, command="true")).reason == Reason.UNREACHABLE
        finally:
            blocker.close()


async def test_a_server_without_room_for_sessions_says_so(
    open_agent: Any, ssh_keys: Path, tmp_path: Path, sleepers: Sleepers
) -> None:
    for sessions, reason in (("0", Reason.UNREACHABLE), ("1", "ok")):
        server = Sshd(authorized=[(ssh_keys / "login.pub").read_text()], options=[f"MaxSessions {sessions}"])
        with required(server):
            (tmp_path / "known").write_text(server.known_hosts())
            async with open_agent(known_hosts=str(tmp_path / "known")) as agent:
                outcome = await agent.run(port=server.port, command="sleep 0.5; echo in")
                assert outcome.reason == reason, outcome.message
                if reason == "ok":
                    command = f"setsid sleep {sleepers.seconds}"
                    outcome = await agent.run_and_cancel(0.1, sleepers.started(), port=server.port, command=command)
                    assert outcome.stats["terminated"] == "verified", outcome.details


@only_root
async def test_a_user_without_a_shell_gets_what_the_server_says(
    open_agent: Any, ssh_keys: Path, tmp_path: Path
) -> None:
    shut = Account(name="candyshut", uid=64124, shell="/usr/sbin/nologin")
    with required(Sshd(authorized=[(ssh_keys / "login.pub").read_text()], accounts=[shut])) as server:
        (tmp_path / "known").write_text(server.known_hosts())
        login = {"username": "candyshut", "private_key_file": str(ssh_keys / "login")}
        async with open_agent(known_hosts=str(tmp_path / "known"), credentials={"login": login}) as agent:
            outcome = await agent.run(port=server.port, command="true")
            assert outcome.reason == "exit_code"
            assert "not available" in outcome.details


def _admitted(server: Sshd) -> socket.socket:
    """A connection that occupies the only slot for unauthenticated connections."""
    while True:
        connection = socket.create_connection(("127.0.0.1", server.port))
        if connection.recv(4) == b"SSH-":
            return connection
        connection.close()
        time.sleep(0.05)


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
