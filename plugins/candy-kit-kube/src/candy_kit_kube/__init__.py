"""Shared by Candy Agent's plugins for Kubernetes: a cluster, and rules stored in custom resources.

Plugins import from here only; the modules are private. Importing this package imports neither ``kubernetes`` nor
``aiohttp``; that happens when a cluster is opened.
"""

from candy_kit_kube.api_errors import Gone, MissingResource, NoAnswer, NoCluster, TooLarge, Unauthenticated
from candy_kit_kube.cluster import Cluster, open_cluster
from candy_kit_kube.custom_rule_backend import CustomRuleBackend
from candy_kit_kube.json_values import as_list, as_object, as_text, as_time
from candy_kit_kube.object_name import object_name
from candy_kit_kube.paging import fetch_page
from candy_kit_kube.rule_resource import RuleResource
from candy_kit_kube.rule_settings import RuleObjectSettings
from candy_kit_kube.settings import ClusterSettings, Environment
from candy_kit_kube.watching import Event

__all__ = [
    "Cluster",
    "ClusterSettings",
    "CustomRuleBackend",
    "Environment",
    "Event",
    "Gone",
    "MissingResource",
    "NoAnswer",
    "NoCluster",
    "RuleObjectSettings",
    "RuleResource",
    "TooLarge",
    "Unauthenticated",
    "as_list",
    "as_object",
    "as_text",
    "as_time",
    "fetch_page",
    "object_name",
    "open_cluster",
]
