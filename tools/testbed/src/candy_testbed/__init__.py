"""Real servers on loopback for tests, the demo and the bench."""

from candy_testbed.agent import AgentProcess
from candy_testbed.kube import ApiError, KubeApi, KubeCluster
from candy_testbed.metric_server import MetricServer
from candy_testbed.prometheus import NodeExporter, Prometheus
from candy_testbed.server import LoopbackServer, MissingServer, NotReady, free_port
from candy_testbed.sshd import Account, Sshd, ssh_certificate, ssh_keygen
from candy_testbed.task_run import task_run
from candy_testbed.victoriametrics import VictoriaMetrics
from candy_testbed.waiting import busy_seconds, eventually

__all__ = [
    "Account",
    "AgentProcess",
    "ApiError",
    "KubeApi",
    "KubeCluster",
    "LoopbackServer",
    "MetricServer",
    "MissingServer",
    "NodeExporter",
    "NotReady",
    "Prometheus",
    "Sshd",
    "VictoriaMetrics",
    "busy_seconds",
    "eventually",
    "free_port",
    "ssh_certificate",
    "ssh_keygen",
    "task_run",
]
