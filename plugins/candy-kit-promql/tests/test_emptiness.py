"""Why an answer is empty, for servers that report little (contract section 3, "Empty")."""

from __future__ import annotations

from typing import Any

import pytest

from candy_core import ItemStatus, Reason

EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


def blind(*known: bytes, ended: tuple[bytes, ...] = ()) -> Any:
    """A server that reports no counts, and has the series whose selectors contain one of ``known``.

    Those that also contain one of ``ended`` have no samples any more.
    """

    async def behave(peer: Any) -> None:
        if "/api/v1/series" in peer.request.line:
            has = any(each in peer.request.body for each in known)
            await peer.answer({"status": "success", "data": [{"__name__": "m"}] if has else []})
        elif b"candy_selector" in peer.request.body:
            counted = [
                {"metric": {"candy_selector": str(number)}, "value": [1, "1"]}
                for number, part in enumerate(peer.request.body.split(b"+or+"))
                if any(each in part for each in known) and not any(each in part for each in ended)
            ]
            await peer.answer({"status": "success", "data": {"resultType": "vector", "result": counted}})
        else:
            await peer.answer(EMPTY)

    return behave


async def test_a_series_that_ended_counts_as_absent_though_the_server_still_lists_it(
    serve: Any, run_items: Any
) -> None:
    """Contract section 3: "a selector of it has no series at all: ``warning``/``series_absent``"."""
    server = await serve(blind(b"here", b"dead", ended=(b"dead",)))
    [outcome] = await run_items(server.url, "here > 5 or dead > 5 or gone > 5")
    assert (outcome.status, outcome.reason) == (ItemStatus.WARNING, Reason.SERIES_ABSENT)
    assert outcome.message == "no series at all for dead, gone"


async def test_without_a_count_the_cause_is_unknown(serve: Any, run_items: Any) -> None:
    """Contract section 3: "if that fails too: ``warning``/``empty_result``"."""
    known = blind(b"here")

    async def behave(peer: Any) -> None:
        if b"candy_selector" in peer.request.body:
            await peer.answer("too much", status="503 Service Unavailable")
        else:
            await known(peer)

    server = await serve(behave)
    [outcome] = await run_items(server.url, "here > 5")
    assert (outcome.status, outcome.reason) == (ItemStatus.WARNING, Reason.EMPTY_RESULT)


async def test_without_counts_each_selector_is_looked_up_once(serve: Any, run_items: Any) -> None:
    """Contract section 3: "each selector is asked for once through ``/api/v1/series`` with limit 1"."""
    server = await serve(blind(b"here"))
    query = 'here{a="b"} > 5 and here{a="b"} > 6 or rate(gone[5m] offset 1h) > 7'
    [outcome] = await run_items(server.url, query, time=1700000000)
    assert (outcome.status, outcome.reason) == (ItemStatus.WARNING, Reason.SERIES_ABSENT)
    assert outcome.message == "no series at all for gone"
    bodies = [request.body for request in server.requests if "series" in request.line]
    assert bodies == [
        b"match[]=here%7Ba%3D%22b%22%7D&start=1699999700.000&end=1700000000.000&limit=1",
        b"match[]=gone&start=1699996100.000&end=1699996400.000&limit=1",
    ]


async def test_if_every_selector_has_series_the_filter_explains_it(serve: Any, run_items: Any) -> None:
    server = await serve(blind(b"here"))
    [outcome] = await run_items(server.url, "here > 5")
    assert (outcome.status, outcome.reason) == (ItemStatus.NORMAL, Reason.EMPTY_RESULT)


@pytest.mark.parametrize("no_data", [None, "normal", "critical", "failed"])
async def test_if_that_fails_too_it_is_a_warning_and_no_data_overrides_it(
    serve: Any, run_items: Any, no_data: str | None
) -> None:
    """Contract section 3: "if that fails too: ``warning``/``empty_result``. ``no_data`` overrides the status"."""

    async def behave(peer: Any) -> None:
        if "series" in peer.request.line:
            await peer.answer("not here", status="404 Not Found")
        else:
            await peer.answer(EMPTY)

    server = await serve(behave)
    [outcome] = await run_items(server.url, {"query": "here > 5", "no_data": no_data})
    assert (outcome.status, outcome.reason) == (ItemStatus(no_data or "warning"), Reason.EMPTY_RESULT)
    assert (outcome.value, outcome.stats) == ("", {"series": 0, "exceeding": 0})


async def test_more_series_than_can_be_read_still_count_as_series(serve: Any, run_items: Any) -> None:
    async def behave(peer: Any) -> None:
        if "series" in peer.request.line:
            await peer.answer({"status": "success", "data": [{"a": "x" * 1000}] * 1000})
        else:
            await counting(peer)

    counting = blind(b"here")
    server = await serve(behave)
    [outcome] = await run_items(server.url, "here > 5", limit=10_000)
    assert (outcome.status, outcome.reason) == (ItemStatus.NORMAL, Reason.EMPTY_RESULT)


async def test_a_query_that_cannot_be_parsed_is_judged_by_the_count_alone(serve: Any, run_items: Any) -> None:
    def counting(samples: int | None) -> Any:
        stats = {} if samples is None else {"stats": {"samples": {"totalQueryableSamples": samples}}}
        body = {"status": "success", "data": {"resultType": "vector", "result": [], **stats}}
        return lambda peer: peer.answer(body)

    for samples, status in ((5, ItemStatus.NORMAL), (0, ItemStatus.WARNING), (None, ItemStatus.WARNING)):
        server = await serve(counting(samples))
        [outcome] = await run_items(server.url, "newest_function(up) > 5")
        assert (outcome.status, outcome.reason) == (status, Reason.EMPTY_RESULT)
