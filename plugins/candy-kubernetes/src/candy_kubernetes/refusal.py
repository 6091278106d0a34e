"""From what the cluster refuses, or does not answer, to the outcome of an item."""

from __future__ import annotations

from candy_core import CandyError, Forbidden, Invalid, Locale, Outcome, Problem, Reason, item_sentences
from candy_kit_kube import Gone, MissingResource, NoAnswer, NoCluster, TooLarge, Unauthenticated
from candy_kubernetes import texts
from candy_kubernetes.checks import Resource
from candy_kubernetes.judging import head_of
from candy_kubernetes.listing import NotAList
from candy_kubernetes.params import KubernetesParams

NOT_SERVED = "kubernetes_not_served"
"""The reason where the cluster has no such resource at all."""


def refused(
    error: CandyError, resource: Resource, params: KubernetesParams, locale: Locale, *, limit: int, seen: bool
) -> Outcome:
    """What an item is told whose ``resource`` could not be listed.

    ``limit`` is the bound on an answer in bytes. ``seen`` is whether there has been a cluster before: then one that
    cannot be found any more is out of reach, and not one that nobody configured.
    """
    reason, msgid = _kind(error, resource, params, seen=seen)
    why = str(error)
    if reason is Reason.BAD_PARAMS:
        refusal = texts.sentence(locale, msgid, why=_words(error))
        message = item_sentences.bad_params(locale, [Problem("params.label_selector", refusal)])
    else:
        message = texts.sentence(locale, msgid, why=why, resource=resource.name, namespace=params.within(), limit=limit)
    return Outcome.failed(reason, message, "\n".join([*head_of(params), f"Error: {why}"]))


def _kind(error: CandyError, resource: Resource, params: KubernetesParams, *, seen: bool) -> tuple[str, str]:
    match error:
        case NoCluster():
            return (Reason.UNREACHABLE, texts.UNREACHABLE) if seen else (Reason.NOT_CONFIGURED, texts.NO_CLUSTER)
        case NoAnswer():
            return Reason.TIMEOUT, texts.TIMED_OUT
        case MissingResource():
            return NOT_SERVED, texts.NOT_SERVED
        case Unauthenticated():
            return Reason.AUTH_FAILED, texts.UNAUTHENTICATED
        case Forbidden():
            if not resource.namespaced:
                return Reason.NOT_ALLOWED, texts.NOT_ALLOWED_OF_CLUSTER
            return Reason.NOT_ALLOWED, texts.NOT_ALLOWED_IN if params.within() else texts.NOT_ALLOWED
        case Invalid():
            return Reason.BAD_PARAMS, texts.BAD_SELECTOR
        case TooLarge():
            return Reason.TOO_LARGE, texts.TOO_LARGE
        case NotAList():
            return Reason.BAD_RESPONSE, texts.NOT_A_LIST
        case Gone():
            return Reason.UNREACHABLE, texts.CHANGED
        case _:
            return Reason.UNREACHABLE, texts.UNREACHABLE


def _words(error: CandyError) -> str:
    problems = error.problems if isinstance(error, Invalid) else ()
    return "; ".join(problem.message for problem in problems) or str(error)
