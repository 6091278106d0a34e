"""What Candy Agent's plugins for Kubernetes share: a cluster, and rules kept in custom resources.

Importing it imports neither ``kubernetes`` nor ``aiohttp``; a cluster does when it is looked for.
"""

from candy_kit_kube.api_errors import Gone, MissingResource, NoAnswer, NoCluster, TooLarge, Unauthenticated
from candy_kit_kube.cluster import Cluster, open_cluster
from candy_kit_kube.custom_rule_backend import CustomRuleBackend
from candy_kit_kube.object_name import object_name
from candy_kit_kube.rule_resource import RuleResource
from candy_kit_kube.settings import ClusterSettings, Surroundings
from candy_kit_kube.watching import Event

__all__ = [
    "Cluster",
    "ClusterSettings",
    "CustomRuleBackend",
    "Event",
    "Gone",
    "MissingResource",
    "NoAnswer",
    "NoCluster",
    "RuleResource",
    "Surroundings",
    "TooLarge",
    "Unauthenticated",
    "object_name",
    "open_cluster",
]
