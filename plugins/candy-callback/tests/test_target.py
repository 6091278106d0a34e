"""Which targets a task may choose, and where the key is sent (contract section 4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from candy_callback.settings import CallbackSettings
from candy_callback.target import callback_problems, has_target, target_of
from candy_callback.url import CallbackUrl
from candy_core import Callback, Delivered, PluginContext, Refused

Start = Callable[..., Awaitable[Any]]
Make = Callable[..., Any]
Context = Callable[..., PluginContext]


def problems(context: Context, callback: Callback, *allowed: str) -> list[str]:
    found = callback_problems(context("http://candy.example.com"), CallbackSettings(allowed_hosts=allowed), callback)
    return [f"{problem.path}: {problem.message}" for problem in found]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://hooks.example.com/x", "hooks.example.com"),
        ("https://HOOKS.Example.com:8443/x?y=z", "hooks.example.com"),
        ("http://hooks.example.com./x", "hooks.example.com"),
        ("http://a.b.example.com/", "*.example.com"),
        ("http://10.1.2.3/", "10.1.2.*"),
        ("http://[::1]:8080/", "[::1]"),
        ("http://[::1]:8080/", "::1"),
        ("http://例子.example/", "xn--fsqu00a.example"),
        ("http://hooks.example.com/{task_id}", " Hooks.example.com "),
    ],
)
def test_an_allowed_host_is_accepted(context: Context, url: str, allowed: str) -> None:
    """Contract §4: '`url` | where it goes: only to hosts in `plugins.callback.allowed_hosts`'."""
    assert problems(context, Callback(url=url), allowed) == []


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://evil.com/", "example.com"),
        ("http://example.com.evil.com/", "example.com"),
        ("http://notexample.com/", "*.example.com"),
        ("http://example.com/", "*.example.com"),
        ("http://evil.com/?x=.example.com", "*.example.com"),
        ("http://evil.com/.example.com", "*.example.com"),
        ("http://candy.example.com/", "hooks.example.com"),
        ("http://127.0.0.1/", "localhost"),
        ("http://169.254.169.254/latest/meta-data", "*.example.com"),
    ],
)
def test_a_host_that_is_not_allowed_is_a_problem_at_intake(context: Context, url: str, allowed: str) -> None:
    (problem,) = problems(context, Callback(url=url), allowed)
    assert problem.startswith("$.url: its host is not among plugins.callback.allowed_hosts")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/x",
        "example.com/x",
        "http://",
        "http:///x",
        "http://user:geheim@example.com/",
        "http://user@example.com/",
        "http://:geheim@example.com/",
        "http://example.com\\@evil.com/",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://example.com:x/",
        "http://example.com/a b",
        "http://example.com/\r\nX-Injected: 1",
        "http://example.com/\0",
        "http://example.com/#fragment",
        "http://[::1/",
        "http://./",
        "http://example.com/" + "x" * 3000,
        "javascript:alert(1)",
        "http://{task_id}/",
        "http://{task_id}.example.com/",
        "http://example.com:8{task_id}/",
        "http://{task_id}@example.com/",
    ],
)
def test_an_invalid_url_is_a_problem_that_does_not_repeat_it(context: Context, url: str) -> None:
    found = problems(context, Callback(url=url), "*")
    assert len(found) == 1
    assert found[0].startswith("$.url: expected")
    assert "geheim" not in found[0]


@given(st.text(max_size=60).map(lambda text: "http://" + text) | st.text(max_size=60))
def test_an_accepted_url_has_one_host_and_no_user(text: str) -> None:
    try:
        url = CallbackUrl.parse(text)
    except ValueError:
        return
    filled = url.fill("task-1")
    assert filled.scheme in ("http", "https")
    assert filled.raw_host
    assert filled.user is None
    assert filled.password is None
    assert url.host == (URL(str(filled)).raw_host or "").rstrip(".").lower()


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Content-Type",
        "Content-Encoding",
        "Transfer-Encoding",
        "connection",
        "Keep-Alive",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Proxy-Authorization",
        "X-API-Key",
        "x-api-key",
        "Idempotency-Key",
        "X-Candy-Event",
        "X-CANDY-SIGNATURE",
        "X-Candy-Timestamp",
    ],
)
def test_a_task_may_not_set_the_agents_own_headers(context: Context, name: str) -> None:
    found = problems(context, Callback(headers={name: "geheim"}))
    assert found == [f"$.headers['{name}']: is set by the agent itself; choose another name"]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "值", "a\0", "x" * 200, "a(b)"])
def test_a_header_name_is_a_token(context: Context, name: str) -> None:
    found = problems(context, Callback(headers={name: "x"}))
    assert len(found) == 1
    assert "name of header 0" in found[0]


@pytest.mark.parametrize("value", ["geheim\r\nX-Injected: 1", "geheim\n", "geheim\0", "geheim值", "geheim\x7f"])
def test_a_header_value_is_one_line_and_never_repeated_in_the_problem(context: Context, value: str) -> None:
    (found,) = problems(context, Callback(headers={"X-Mine": value}))
    assert found.startswith("$.headers['X-Mine']: expected printable ASCII")
    assert "geheim" not in found


def test_headers_are_bounded_and_have_no_duplicates(context: Context) -> None:
    assert problems(context, Callback(headers={f"X-{number}": "x" for number in range(51)}))
    assert problems(context, Callback(headers={"X-Long": "x" * 9000}))
    assert problems(context, Callback(headers={"X-Mine": "1", "x-mine": "2"}))
    assert problems(context, Callback(headers={"Authorization": "Bearer x", "User-Agent": "mine", "X-Mine": ""})) == []


def test_all_problems_are_reported_together(context: Context) -> None:
    found = problems(context, Callback(url="http://evil.com/", headers={"Host": "x", "X-A": "\n", "b c": "1"}))
    assert len(found) == 4


def test_a_callback_without_any_target_is_a_problem(context: Context) -> None:
    callback = Callback(params={"a": 1})
    assert not has_target(context(), CallbackSettings(), callback)
    (problem,) = callback_problems(context(), CallbackSettings(), callback)
    assert "CANDY_SERVER_URL" in problem.message


def test_without_candy_server_only_a_configured_url_is_a_target(context: Context) -> None:
    """Contract §7: '`CANDY_SERVER_URL` | Candy-Server; unset: no heartbeat and no callback'."""
    own = Callback(url="http://hooks.example.com/")
    assert not has_target(context(), CallbackSettings(), None)
    assert has_target(context(), CallbackSettings(), own)
    assert has_target(context(), CallbackSettings(url=CallbackUrl.parse("http://x.example/")), None)
    assert has_target(context("http://candy.example.com"), CallbackSettings(), None)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("http://candy.example.com:8080/other", True),
        ("http://CANDY.example.com.:8080/other", True),
        ("https://candy.example.com/other", True),
        ("https://candy.example.com:8443/other", True),
        ("http://candy.example.com/other", False),
        ("http://candy.example.com:9999/other", False),
        ("http://hooks.example.com:8080/other", False),
        ("https://results.example.com/x", True),
        ("http://results.example.com/x", False),
        ("http://results.example.com:443/x", False),
        ("https://results.example.com:444/x", False),
    ],
)
def test_the_key_is_sent_only_to_the_configured_hosts_and_never_less_protected(
    context: Context, url: str, trusted: bool
) -> None:
    settings = CallbackSettings(url=CallbackUrl.parse("https://results.example.com/x/{task_id}"), allowed_hosts=("*",))
    target = target_of(context("http://candy.example.com:8080"), settings, Callback(url=url), "t")
    assert not isinstance(target, str)
    assert target.trusted is trusted


async def test_a_tasks_own_receiver_gets_headers_and_a_signature_but_no_key(
    receiver: Start, reporter: Start, delivery: Make
) -> None:
    server, foreign = await receiver(), await receiver()
    callback_reporter = await reporter(server.url, allowed_hosts=("127.0.0.1",))
    callback = Callback(url=foreign.url + "/hook/{task_id}", headers={"Authorization": "Bearer x", "User-Agent": "me"})
    assert isinstance(await callback_reporter.deliver(delivery(callback=callback)), Delivered)
    (request,) = foreign.received
    assert server.received == []
    assert request.path == "/hook/task-1"
    assert request.headers["Authorization"] == "Bearer x"
    assert request.headers["User-Agent"] == "me"
    assert request.headers["X-Candy-Signature"].startswith("sha256=")
    assert "X-API-Key" not in request.headers
    assert "server-key" not in str(request)


async def test_headers_without_a_url_go_to_candy_server(receiver: Start, reporter: Start, delivery: Make) -> None:
    server = await receiver()
    await (await reporter(server.url)).deliver(delivery(callback=Callback(headers={"X-Mine": "1"})))
    assert server.received[0].headers["X-Mine"] == "1"
    assert server.received[0].headers["X-API-Key"] == "server-key-0123456789"


async def test_a_host_that_is_no_longer_allowed_is_refused_at_delivery(
    receiver: Start, reporter: Start, delivery: Make
) -> None:
    """A queued delivery may be sent after the configuration has changed."""
    foreign = await receiver()
    callback_reporter = await reporter("http://candy.example.com")
    answer = await callback_reporter.deliver(delivery(callback=Callback(url=foreign.url)))
    assert isinstance(answer, Refused)
    assert foreign.received == []


async def test_a_failure_message_shows_no_path_and_no_query(receiver: Start, reporter: Start, delivery: Make) -> None:
    foreign = await receiver(answer=lambda _: web.Response(status=500))
    callback_reporter = await reporter(allowed_hosts=("127.0.0.1",))
    callback = Callback(url=foreign.url + "/hook/geheim?token=geheim", headers={"Authorization": "geheim"})
    answer = await callback_reporter.deliver(delivery(callback=callback))
    assert "geheim" not in repr(answer)
