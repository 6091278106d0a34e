"""A cluster for tests: its processes as one context, and what tests do to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from candy_testbed.kube.api import ApiError, KubeApi, Object
from candy_testbed.kube.servers import ADMIN_TOKEN, Etcd, KubeApiServer, KubeControllerManager
from candy_testbed.server import NotReady

DEFINITIONS = Path(__file__).with_name("crds")
"""The CustomResourceDefinitions of PrometheusRule and VMRule."""
_POLL = 0.05


class KubeCluster:
    """A context manager around etcd and a kube-apiserver; ``api`` asks it as an administrator.

    It serves PrometheusRule and VMRule unless ``definitions`` is false. ``arguments`` go to kube-apiserver's command
    line. There is no kubelet: a pod is Pending until a test patches its status. Nothing in it outlives the context.
    """

    def __init__(self, *, definitions: bool = True, arguments: Sequence[str] = ()) -> None:
        self.etcd = Etcd()
        self.api_server = KubeApiServer(self.etcd, arguments=arguments)
        self._definitions = definitions
        self._stack = contextlib.ExitStack()
        self._api: KubeApi | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.etcd)
            stack.enter_context(self.api_server)
            self._api = KubeApi(self.api_server.address, self.ca_file, self.token)
            self.write_kubeconfig(self.kubeconfig)
            if self._definitions:
                for file in sorted(DEFINITIONS.glob("*.yaml")):
                    self.define(file)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    @property
    def url(self) -> str:
        """The API server's base URL; it stays the same when the server is started again."""
        return self.api_server.url

    @property
    def ca_file(self) -> Path:
        """The certificate that clients have to trust."""
        return self.api_server.ca_file

    @property
    def token(self) -> str:
        """The administrator's bearer token."""
        return ADMIN_TOKEN

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file."""
        return self.api_server.folder / "kubeconfig"

    @property
    def api(self) -> KubeApi:
        """The administrator's calls."""
        if self._api is None:
            raise NotReady("the cluster has not been started")
        return self._api

    def api_as(self, token: str) -> KubeApi:
        """An API client with this token."""
        return KubeApi(self.api_server.address, self.ca_file, token)

    def write_kubeconfig(self, path: Path, *, token: str | None = None, namespace: str = "default") -> Path:
        """Write a kubeconfig file with one context, by default the administrator's; returns ``path``."""
        name = "candy-testbed"
        path.touch(mode=0o600)
        path.write_text(
            # JSON is YAML.
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": name,
                    "clusters": [
                        {"name": name, "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}}
                    ],
                    "users": [{"name": name, "user": {"token": token or self.token}}],
                    "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
                }
            )
        )
        return path

    # Outages. The processes end with the thread that starts them: start them from the test's own, not from a pool's.

    def stop_api_server(self) -> None:
        """Stop the API server in order: connections are closed, new ones are refused."""
        self.api_server.stop()

    def kill_api_server(self) -> None:
        """End the API server at once, as a crash would."""
        self.api_server.kill()

    def start_api_server(self) -> None:
        """Start it again, on the same port with the same data; returns at once (see :meth:`until_ready`)."""
        self.api_server.stop()
        self.api_server.start(port=self.api_server.port)

    async def until_ready(self) -> None:
        """Wait until a server that :meth:`start_api_server` has started can be used; the event loop goes on."""
        await asyncio.to_thread(self.api_server.wait_until_ready)

    def restart(self) -> None:
        """Kill the API server, start it again on the same port with the same data, and wait until it can be used."""
        self.kill_api_server()
        self.start_api_server()
        self.api_server.wait_until_ready()

    def ensure_running(self) -> None:
        """Resume or start the API server if a test has paused or killed it, and wait until it is ready."""
        if self.api_server.running:
            self.api_server.resume()
        else:
            self.start_api_server()
        self.api_server.wait_until_ready()

    def controller_manager(self) -> KubeControllerManager:
        """A context manager around a controller manager: Deployments roll, namespaces end."""
        return KubeControllerManager(self.kubeconfig, self.api_server.service_account_key)

    # What is in it.

    def define(self, definition: str | Path, timeout: float = 120.0) -> None:
        """Apply a CustomResourceDefinition, and wait until its objects can be listed."""
        (created,) = self.api.apply(definition)
        spec = created["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.api.request("GET", path, query={"limit": "1"})
                return
            except ApiError as error:
                if time.monotonic() > deadline:
                    raise NotReady(f"the cluster does not serve {path}") from error
            time.sleep(_POLL)

    def create_namespace(self, name: str | None = None) -> str:
        """Create a namespace, by default with a unique name; returns the name."""
        name = name or f"test-{uuid.uuid4().hex[:12]}"
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def delete_namespace(self, name: str) -> None:
        """End a namespace and all in it at once, as the controller manager does in time."""
        self.api.delete("v1", "Namespace", name)
        for group in self._group_versions():
            for resource in self.api.request("GET", group)["resources"]:
                if resource["namespaced"] and "deletecollection" in resource["verbs"]:
                    self._if_there("DELETE", f"{group}/namespaces/{name}/{resource['name']}")
        final = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []}}
        self._if_there("PUT", f"/api/v1/namespaces/{name}/finalize", final)

    def _if_there(self, method: str, path: str, body: Object | None = None) -> None:
        """A call of which a controller manager may have done the work already."""
        try:
            query = {"gracePeriodSeconds": "0"} if method == "DELETE" else None
            self.api.request(method, path, body, query=query, timeout=300)  # of a thousand objects, perhaps
        except ApiError as error:
            if error.status != 404:
                raise

    def _group_versions(self) -> list[str]:
        groups = self.api.request("GET", "/apis")["groups"]
        return ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]

    def service_account_token(self, namespace: str, name: str, *, seconds: int = 3600) -> str:
        """A token of a service account (TokenRequest), which is created where there is none; it may do nothing yet."""
        self.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, namespace=namespace)
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token: str = self.api.request("POST", path, asked)["status"]["token"]
        return token

    def create_node(self, name: str | None = None, *, ready: bool = True, kubelet: str = "v1.20.2") -> str:
        """Create a node whose kubelet has reported; returns its name. It is cluster-wide: the caller must delete it."""
        name = name or f"node-{uuid.uuid4().hex[:12]}"
        self.api.request("POST", "/api/v1/nodes", {"metadata": {"name": name}})
        size = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        self.api.patch_status(
            "v1",
            "Node",
            name,
            {
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True" if ready else "False",
                        "reason": "KubeletReady" if ready else "KubeletNotReady",
                    }
                ],
                "capacity": size,
                "allocatable": size,
                "nodeInfo": {"kubeletVersion": kubelet},
            },
        )
        return name

    def run_pod(self, namespace: str, name: str) -> Object:
        """Have a pod run and be ready, each of its containers, as a kubelet that has started it says."""
        pod = self.api.get("v1", "Pod", name, namespace=namespace)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in pod["spec"]["containers"]
        ]
        kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        status = {
            "phase": "Running",
            "startTime": now,
            "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds],
            "containerStatuses": containers,
        }
        return self.api.patch_status("v1", "Pod", name, status, namespace=namespace)
