"""The rights that the manifests give to the agent, in a cluster: all of them, or all but one."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml
from attrs import frozen

from candy_testbed import KubeCluster, eventually

MANIFESTS = Path(__file__).resolve().parents[2] / "contrib/deploy/kubernetes/candy-agent.yaml"
ROLES = "rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"
NAMES = ("candy-agent", "monitoring")


@frozen(order=True)
class Right:
    """One verb on one resource of one API group; ``namespace`` is empty for all of them."""

    namespace: str
    group: str
    resource: str
    verb: str


@frozen
class Rights:
    """The agent's ServiceAccount and roles, as the manifests have them and the API server holds them.

    ``env`` makes an agent be that account, with a token as a pod gets one.
    """

    cluster: KubeCluster
    roles: tuple[Mapping[str, Any], ...]
    token: str
    env: Mapping[str, str]

    def given(self) -> set[Right]:
        """Every right of the manifests by itself."""
        return {right for role in self.roles for right in _rights_of(role)}

    def may(self, right: Right) -> bool:
        """What the API server says to the account that asks about itself."""
        asked = {
            "namespace": right.namespace,
            "group": right.group,
            "resource": right.resource,
            "verb": right.verb,
        }
        body = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}}
        answer = self.cluster.api_as(self.token).request("POST", f"{REVIEWS}/selfsubjectaccessreviews", body)
        return bool(answer["status"]["allowed"])

    def all_in(self, namespace: str) -> set[Right]:
        """Everything that the account may do in a namespace, or on what has none, as the API server tells it."""
        body = {"kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
        answer = self.cluster.api_as(self.token).request("POST", f"{REVIEWS}/selfsubjectrulesreviews", body)
        assert not answer["status"]["incomplete"], answer
        return {
            Right(namespace, group, resource, verb)
            for rule in answer["status"]["resourceRules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    async def until_given(self) -> None:
        """Wait until the API server knows of every one."""
        for right in sorted(self.given()):
            await self._until(right, allowed=True)

    @asynccontextmanager
    async def without(self, right: Right) -> AsyncIterator[None]:
        """Take exactly that one away, for the time of the block."""
        (role,) = [role for role in self.roles if right in _rights_of(role)]
        less = {**copy.deepcopy(dict(role)), "rules": [_rule(kept) for kept in sorted(_rights_of(role) - {right})]}
        self.cluster.api.apply(less)
        try:
            await self._until(right, allowed=False)
            yield
        finally:
            self.cluster.api.apply(role)
            await self._until(right, allowed=True)

    async def _until(self, right: Right, *, allowed: bool) -> None:
        await eventually(lambda: self.may(right) is allowed)  # the authorizer reads of it by a watch


@contextmanager
def rights_of_manifests(cluster: KubeCluster, folder: Path) -> Iterator[Rights]:
    """Apply the account and its roles, and what they need; gone at the end. ``folder`` is for the kubeconfig."""
    documents = [
        document
        for document in yaml.safe_load_all(MANIFESTS.read_text())
        if document["kind"] == "ServiceAccount" or document["apiVersion"] == ROLES  # the roles and their bindings
    ]
    with ExitStack() as stack:
        for name in NAMES:
            cluster.create_namespace(name)
            stack.callback(cluster.delete_namespace, name)
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            stack.callback(cluster.api.delete, ROLES, kind, "candy-agent")
        stack.callback(cluster.ensure_running)
        for document in documents:
            cluster.api.apply(document)
        token = cluster.service_account_token("candy-agent", "candy-agent")
        kubeconfig = cluster.write_kubeconfig(folder / "kubeconfig", token=token)
        roles = tuple(document for document in documents if document["kind"] in ("Role", "ClusterRole"))
        yield Rights(cluster, roles, token, {"KUBECONFIG": str(kubeconfig)})


def _rights_of(role: Mapping[str, Any]) -> set[Right]:
    return {
        Right(role["metadata"].get("namespace", ""), group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _rule(right: Right) -> dict[str, list[str]]:
    return {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
