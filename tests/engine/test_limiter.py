"""A bound on how much happens at once: nobody who leaves takes a place along."""

from __future__ import annotations

import asyncio

from candy_core.engine.limiter import Limiter, Limiters


async def waiting(limiter: Limiter) -> asyncio.Task[None]:
    task = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_a_place_that_is_given_to_somebody_who_leaves_in_the_same_moment_is_free_again() -> None:
    limiter = Limiter(lambda: 1)
    await limiter.acquire()
    leaving, next_one = await waiting(limiter), await waiting(limiter)
    limiter.release()
    leaving.cancel()
    await asyncio.wait((leaving, next_one), timeout=60)
    assert leaving.cancelled()
    assert next_one.done()
    limiter.release()
    assert limiter.take()
    assert not limiter.take()


async def test_somebody_who_has_left_is_not_waited_for() -> None:
    limit = 1
    limiter = Limiter(lambda: limit)
    await limiter.acquire()
    leaving = await waiting(limiter)
    leaving.cancel()
    await asyncio.wait((leaving,))
    limit = 2
    assert limiter.take()


async def test_whoever_comes_later_does_not_overtake_those_who_wait() -> None:
    limit = 1
    limiter = Limiter(lambda: limit)
    await limiter.acquire()
    first = await waiting(limiter)
    limit = 2
    assert not limiter.take()
    limiter.wake()
    await asyncio.wait((first,), timeout=60)
    assert first.done()


def test_each_key_has_one_limiter_while_it_is_used_and_nothing_stays_of_it() -> None:
    """What a share is called may be a caller's word: ten thousand of them must not stay."""
    bounds = {"a": 1, "b": 2}
    limiters = Limiters(bounds.__getitem__)
    with limiters.of("a") as first, limiters.of("b") as other:
        with limiters.of("a") as second:
            assert first is second
        assert (first.take(), first.take()) == (True, False)
        assert (other.take(), other.take(), other.take()) == (True, True, False)
        assert len(limiters) == 2
    assert len(limiters) == 0


async def test_a_bound_of_a_key_that_is_raised_lets_in_who_waits() -> None:
    bounds = {"a": 1}
    limiters = Limiters(bounds.__getitem__)
    with limiters.of("a") as limiter:
        await limiter.acquire()
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        bounds["a"] = 2
        limiters.wake()
        await waiting
        assert limiter.used == 2
