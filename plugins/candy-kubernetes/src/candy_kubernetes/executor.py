"""Runs items of the type ``kubernetes``: lists once what several items look at, and judges it for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager

from candy_core import CandyError, Health, Item, Json, Outcome, PluginContext, Run
from candy_kit_kube import Cluster, NoCluster, Surroundings, open_cluster
from candy_kubernetes.checks import CHECKS, Resource, Survey
from candy_kubernetes.judging import judged
from candy_kubernetes.listing import Listing
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.refusal import refused
from candy_kubernetes.settings import KubernetesSettings

CHECK_SECONDS = 3.0
"""Less than the five that the core waits, so that a cluster which does not answer is named."""


class KubernetesExecutor:
    """A ``BatchExecutor``. The items of a call look at the same objects."""

    def __init__(self, cluster: Cluster, limit: int) -> None:
        self._cluster = cluster
        self._listing = Listing(cluster)
        self._limit = limit
        self._seen = False

    async def run_batch(self, items: Sequence[Item[KubernetesParams]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        """List each kind of object once, and yield an outcome for each of ``items``."""
        check = CHECKS[items[0].params.check]
        surveys: dict[Hashable, Survey] = {
            _question(item.params): check.survey(item.params, run.time) for item in items
        }
        for resource in check.resources:
            if error := await self._look(resource, items[0].params, tuple(surveys.values())):
                for item in items:
                    yield (
                        item.index,
                        refused(error, resource, item.params, run.locale, limit=self._limit, seen=self._seen),
                    )
                return
        found = {question: survey.found() for question, survey in surveys.items()}
        for item in items:
            yield item.index, judged(check, item.params, found[_question(item.params)], run.locale)

    async def health(self) -> Health:
        """Whether the cluster answers. Where there is none, nothing is wrong with the plugin."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._cluster.request("GET", "/version")
        except NoCluster as error:
            return Health(ok=not self._seen, detail=str(error))
        except TimeoutError:
            return Health(ok=False, detail=f"the Kubernetes API gave no answer within {CHECK_SECONDS:g} s")
        except CandyError as error:
            self._seen = True
            return Health(ok=False, detail=str(error))
        self._seen = True
        return Health(ok=True)

    async def _look(self, resource: Resource, params: KubernetesParams, surveys: Sequence[Survey]) -> CandyError | None:
        """Show every object to every survey; why that cannot be done."""
        try:
            async for things in self._listing.pages(resource, params.within(), params.label_selector.strip()):
                self._seen = True
                await asyncio.to_thread(_show, resource, things, surveys)
        except CandyError as error:
            self._seen = self._seen or not isinstance(error, NoCluster)
            return error
        return None


def _show(resource: Resource, things: Sequence[Mapping[str, Json]], surveys: Sequence[Survey]) -> None:
    for survey in surveys:
        for thing in things:
            survey.see(resource, thing)


def _question(params: KubernetesParams) -> Hashable:
    """Items with the same one see the same in the same objects, whatever their thresholds are."""
    return (
        None if params.grace is None else params.grace.seconds,
        None if params.age is None else params.age.seconds,
        params.restarts,
        bool(params.cordoned),
        params.days,
    )


@asynccontextmanager
async def open_executor(
    context: PluginContext, settings: KubernetesSettings, surroundings: Surroundings | None = None
) -> AsyncIterator[KubernetesExecutor]:
    """Make the executor ready. A cluster is looked for at the first item, and again as long as there is none."""
    async with open_cluster(context, settings, surroundings) as cluster:
        yield KubernetesExecutor(cluster, context.limits.answer)
