"""A real Kubernetes API server on loopback: etcd and kube-apiserver, on wish the controller manager; no kubelet."""

from candy_testbed.kube.api import ApiError, KubeApi
from candy_testbed.kube.cluster import KubeCluster
from candy_testbed.kube.servers import Etcd, KubeApiServer, KubeControllerManager

__all__ = ["ApiError", "Etcd", "KubeApi", "KubeApiServer", "KubeCluster", "KubeControllerManager"]
