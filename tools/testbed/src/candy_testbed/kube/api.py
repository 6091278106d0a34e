"""What tests ask of an API server, in plain HTTP: it knows no client library, hence shares no defect with one."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
"""An object of Kubernetes, as the API gives it."""

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused; ``status`` is HTTP's, ``reason`` and ``message`` are those of its Status object."""

    def __init__(self, asked: str, status: int, text: str) -> None:
        try:
            self.body: Object = json.loads(text)
        except ValueError:
            self.body = {}
        self.status = status
        self.reason = str(self.body.get("reason", ""))
        self.message = str(self.body.get("message", text))
        super().__init__(f"{asked}: {status} {self.reason}: {self.message}")


class KubeApi:
    """Calls to one API server as one user; each is a connection of its own, so it can be used from any thread."""

    def __init__(self, address: str, ca_file: Path, token: str) -> None:
        self._address = address
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._token = token
        self._resources: dict[str, Sequence[Object]] = {}

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        timeout: float = 60.0,
    ) -> Any:
        """One call; returns a 2xx answer: JSON, or other text as it is. Raises :class:`ApiError` or ``OSError``."""
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        connection = http.client.HTTPSConnection(self._address, timeout=timeout, context=self._tls)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
            sent = None
            if body is not None:
                sent, headers["Content-Type"] = json.dumps(body), content_type
            connection.request(method, target, body=sent, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise ApiError(f"{method} {target}", answer.status, text)
        return json.loads(text) if answer.headers.get_content_type() == "application/json" else text

    def path(self, api_version: str, kind: str, name: str = "", *, namespace: str | None = None) -> str:
        """The path of an object, or without ``name`` of all of them; found by discovery, as kubectl does.

        Without ``namespace`` that is all namespaces'. Raises ``LookupError`` where nothing serves the kind.
        """
        base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        resource = self._resource(base, kind)
        parts = [base]
        if resource["namespaced"] and namespace is not None:
            parts += ["namespaces", namespace]
        return "/".join([*parts, resource["name"], *([name] if name else [])])

    def _resource(self, base: str, kind: str) -> Object:
        for known in (True, False):
            if not known or base not in self._resources:
                try:
                    self._resources[base] = self.request("GET", base)["resources"]
                except ApiError as error:
                    if error.status != 404:
                        raise
                    self._resources[base] = ()
            for resource in self._resources[base]:
                if resource["kind"] == kind and "/" not in resource["name"]:
                    return resource
        raise LookupError(f"{self._address} serves no {kind} at {base}")

    def apply(
        self,
        manifest: str | Path | Mapping[str, Any],
        *,
        namespace: str = "default",
        field_manager: str = "candy-testbed",
        force: bool = False,
        dry_run: bool = False,
    ) -> list[Object]:
        """Apply, server-side, the object, or each object of YAML text or of a file; returns them as they are then.

        ``namespace`` is for those that name none and have one. Raises :class:`ApiError`: 409 with the reason
        ``Conflict`` where another manager owns a field, unless ``force``.
        """
        if isinstance(manifest, Path):
            manifest = manifest.read_text()
        documents = yaml.safe_load_all(manifest) if isinstance(manifest, str) else [manifest]
        query = {"fieldManager": field_manager, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        applied = []
        for document in documents:
            if document:
                path = self._place(document, namespace)
                applied.append(self.request("PATCH", path, document, query=query, content_type=APPLY))
        return applied

    def _place(self, document: Mapping[str, Any], namespace: str) -> str:
        metadata = document["metadata"]
        where = metadata.get("namespace", namespace)
        return self.path(document["apiVersion"], document["kind"], metadata["name"], namespace=where)

    def get(self, api_version: str, kind: str, name: str, *, namespace: str = "default") -> Object:
        """One object. Raises :class:`ApiError`: 404 where there is none."""
        found: Object = self.request("GET", self.path(api_version, kind, name, namespace=namespace))
        return found

    def items(
        self, api_version: str, kind: str, *, namespace: str | None = None, label_selector: str = ""
    ) -> list[Object]:
        """All objects of a kind, by default of all namespaces."""
        query = {"labelSelector": label_selector} if label_selector else {}
        found: list[Object] = self.request("GET", self.path(api_version, kind, namespace=namespace), query=query)[
            "items"
        ]
        return found

    def delete(self, api_version: str, kind: str, name: str, *, namespace: str = "default") -> None:
        """End one object at once, a pod as if its kubelet were done with it. Does nothing where there is none."""
        try:
            self.request(
                "DELETE", self.path(api_version, kind, name, namespace=namespace), query={"gracePeriodSeconds": "0"}
            )
        except ApiError as error:
            if error.status != 404:
                raise

    def patch_status(
        self, api_version: str, kind: str, name: str, status: Mapping[str, Any], *, namespace: str = "default"
    ) -> Object:
        """Merge ``status`` into the object's status, as the kubelet or a controller would; lists are replaced."""
        path = f"{self.path(api_version, kind, name, namespace=namespace)}/status"
        changed: Object = self.request("PATCH", path, {"status": status}, content_type=MERGE)
        return changed
