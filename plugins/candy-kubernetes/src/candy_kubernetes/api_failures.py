"""The outcome of an item whose objects could not be listed."""

from __future__ import annotations

from candy_core import CandyError, Forbidden, Invalid, Locale, Outcome, Problem, Reason, item_sentences
from candy_kit_kube import Gone, MissingResource, NoAnswer, NoCluster, TooLarge, Unauthenticated
from candy_kubernetes import texts
from candy_kubernetes.checks import Resource
from candy_kubernetes.judging import head_of
from candy_kubernetes.listing import NotAList
from candy_kubernetes.params import KubernetesParams

NOT_SERVED = "kubernetes_not_served"
"""The reason if the cluster does not serve the resource."""


def api_failure(
    error: CandyError, resource: Resource, params: KubernetesParams, locale: Locale, *, limit: int, seen: bool
) -> Outcome:
    """The outcome for an ``error`` that was raised while ``resource`` was listed.

    ``limit`` is the largest response in bytes. ``seen`` is whether a cluster was found before: then a missing one is
    unreachable, not unconfigured.
    """
    reason, msgid = _reason_and_msgid(error, resource, params, seen=seen)
    why = str(error)
    if reason is Reason.BAD_PARAMS:
        problem = texts.sentence(locale, msgid, why=_problem_text(error))
        message = item_sentences.bad_params(locale, [Problem("params.label_selector", problem)])
    else:
        message = texts.sentence(
            locale, msgid, why=why, resource=resource.name, namespace=params.selected_namespace(), limit=limit
        )
    return Outcome.failed(reason, message, "\n".join([*head_of(params), f"Error: {why}"]))


def _reason_and_msgid(
    error: CandyError, resource: Resource, params: KubernetesParams, *, seen: bool
) -> tuple[str, str]:
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
            return Reason.NOT_ALLOWED, texts.NOT_ALLOWED_IN if params.selected_namespace() else texts.NOT_ALLOWED
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


def _problem_text(error: CandyError) -> str:
    problems = error.problems if isinstance(error, Invalid) else ()
    return "; ".join(problem.message for problem in problems) or str(error)
