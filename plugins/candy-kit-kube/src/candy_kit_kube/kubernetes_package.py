"""The only module that imports the ``kubernetes`` package, and does so late: it takes a second and 22 MB.

``kubernetes.aio`` turns a kubeconfig's user and a pod's service account into credentials. It is not used for requests
(:mod:`candy_kit_kube.api_session` is): its client reads responses without a limit, and into its own model classes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from candy_core import Json
from candy_kit_kube.kubeconfig import UnusableConfig

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config.kube_config import KubeConfigLoader

_TOKEN = "BearerToken"  # noqa: S105 a key, not a token


async def user_authorization(user: Mapping[str, Json]) -> str:
    """The ``Authorization`` header for a user: token, password, OIDC, GCP. Raises :class:`UnusableConfig`."""
    document: dict[str, Json] = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": ""}}],
        "users": [{"name": "u", "user": user}],
    }
    configuration, loader_class = await asyncio.to_thread(_import_loader)
    try:
        await loader_class(document, config_base_path="").load_and_set(configuration)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 it raises all kinds of errors, whose messages quote the entry
        raise UnusableConfig(f"the user's entry of the kubeconfig cannot be used ({type(error).__name__})") from None
    return configuration.api_key.get(_TOKEN, "")


def pod_account(environ: Mapping[str, str], token: Path, authority: Path) -> tuple[str, str]:
    """The address and the ``Authorization`` header of a pod's service account.

    Reads files. Raises :class:`UnusableConfig`.
    """
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import ConfigException
    from kubernetes.aio.config.incluster_config import InClusterConfigLoader

    configuration = Configuration()
    loader = InClusterConfigLoader(str(token), str(authority), try_refresh_token=False, environ=environ)  # type: ignore[no-untyped-call]
    try:
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, ValueError):
        raise UnusableConfig(f"the pod's service account ({token}, {authority}) cannot be read") from None
    return configuration.host, configuration.api_key[_TOKEN]


def _import_loader() -> tuple[Configuration, type[KubeConfigLoader]]:
    """An empty configuration and the class that fills it. The first call imports the package."""
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config.kube_config import KubeConfigLoader

    return Configuration(), KubeConfigLoader
