"""The Helm chart: with its own values it installs what the manifests install; helm's template engine renders it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from candy_testbed import KubeCluster
from candy_testbed.requirement import skip_or_fail
from candy_testbed.server import MissingServer

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "contrib/deploy/helm/candy-agent"
Object: TypeAlias = "dict[str, Any]"


@pytest.fixture(scope="module")
def render() -> Path:
    built = subprocess.run([ROOT / "tools/testbed/chart/build.sh"], capture_output=True, text=True)
    if built.returncode:
        skip_or_fail(MissingServer("render", "golang-1.19-go", f"the renderer of charts: {built.stderr[-500:]}"))
    return Path(built.stdout.strip())


def rendered(render: Path, tmp_path: Path, release: str = "candy-agent", **values: Any) -> list[Object]:
    """The chart's objects for a release in a namespace of the same name."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    shown = subprocess.run([render, CHART, release, release, file], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    return [document for document in yaml.safe_load_all(shown.stdout) if document]


def key(item: Object) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def comparable(item: Object) -> Object:
    """Without what only the chart needs, and with agent.yaml as what it says."""
    if item["kind"] == "Deployment":
        item["spec"]["template"]["metadata"].pop("annotations", None)
    if item["kind"] == "ConfigMap":
        item["data"] = {name: yaml.safe_load(text) for name, text in item["data"].items()}
    return item


def test_with_its_own_values_it_installs_what_the_manifests_install(render: Path, tmp_path: Path) -> None:
    manifests = yaml.safe_load_all((ROOT / "contrib/deploy/kubernetes/candy-agent.yaml").read_text())
    wanted = {key(item): comparable(item) for item in manifests if item["kind"] != "Namespace"}  # helm makes that one
    found = {key(item): comparable(item) for item in rendered(render, tmp_path)}
    assert found == wanted


def test_a_changed_configuration_is_a_new_agent(render: Path, tmp_path: Path) -> None:
    def annotations(**values: Any) -> Object:
        (deployment,) = [item for item in rendered(render, tmp_path, **values) if item["kind"] == "Deployment"]
        found: Object = deployment["spec"]["template"]["metadata"]["annotations"]
        return found

    assert annotations() == annotations()
    assert annotations() != annotations(config={"cluster_name": "another"})
    assert annotations() != annotations(secret={"data": {"api_key": "another"}})


def test_rights_over_rules_and_secrets_are_given_in_the_named_namespaces_alone(render: Path, tmp_path: Path) -> None:
    rbac = {"inspect": False, "ruleNamespaces": ["one", "two"], "certificateNamespaces": ["three"]}
    roles = {key(item): item["rules"] for item in rendered(render, tmp_path, rbac=rbac) if "rules" in item}
    assert set(roles) == {
        ("ClusterRole", "", "candy-agent"),
        ("Role", "one", "candy-agent-rules"),
        ("Role", "two", "candy-agent-rules"),
        ("Role", "three", "candy-agent-certificates"),
    }
    assert roles["ClusterRole", "", "candy-agent"] == [
        {"apiGroups": ["monitoring.coreos.com"], "resources": ["prometheusrules"], "verbs": ["get", "list"]},
        {"apiGroups": ["operator.victoriametrics.com"], "resources": ["vmrules"], "verbs": ["get", "list"]},
    ]
    assert roles["Role", "three", "candy-agent-certificates"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
    ]


def test_without_rights_there_is_no_empty_role(render: Path, tmp_path: Path) -> None:
    rbac = {"inspect": False, "ruleNamespaces": [], "certificateNamespaces": []}
    assert not [item["kind"] for item in rendered(render, tmp_path, rbac=rbac) if "Role" in item["kind"]]


def test_the_values_of_the_readme_name_keys_that_become_files(render: Path, tmp_path: Path) -> None:
    readme = (ROOT / "contrib/deploy/kubernetes/README.md").read_text()
    (values,) = re.findall(r"^```yaml\n# my-values\.yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    items = {item["kind"]: item for item in rendered(render, tmp_path, **yaml.safe_load(values))}
    written = items["ConfigMap"]["data"]["agent.yaml"]
    settings = yaml.safe_load(written)
    files = {Path(path) for name, path in settings.items() if name.endswith("_file")}
    assert files == {Path("/run/secrets/candy-agent") / key for key in items["Secret"]["stringData"]}
    service = items["Service"]["metadata"]
    assert settings["agent_endpoint"] == f"http://{service['name']}.{service['namespace']}.svc:8888"
    file = tmp_path / "agent.yaml"
    file.write_text(written.replace("/run/secrets/candy-agent", str(tmp_path)))
    for name, key in items["Secret"]["stringData"].items():
        (tmp_path / name).write_text(key)
    command = [sys.executable, "-m", "candy_core", "check-config", "--config", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_role_for_certificates_in_the_manifests_is_the_chart_s(render: Path, tmp_path: Path) -> None:
    lines = (ROOT / "contrib/deploy/kubernetes/candy-agent.yaml").read_text().splitlines()
    start = lines.index("# ---")
    end = lines.index("---", start)
    commented = yaml.safe_load_all("\n".join(line.removeprefix("# ") for line in lines[start:end]))
    made = rendered(render, tmp_path, rbac={"certificateNamespaces": ["shop"]})
    assert list(commented) == [item for item in made if item["metadata"].get("namespace") == "shop"]


def test_a_secret_that_is_there_already_is_used_and_none_is_made(render: Path, tmp_path: Path) -> None:
    items = {item["kind"]: item for item in rendered(render, tmp_path, secret={"existing": "keys"})}
    assert "Secret" not in items
    volumes = items["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert {"name": "secrets", "secret": {"secretName": "keys", "defaultMode": 0o440}} in volumes


def test_every_value_finds_its_place_and_the_api_server_takes_the_objects(
    render: Path, tmp_path: Path, kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    items = rendered(
        render,
        tmp_path,
        release=kube_namespace,
        image={"repository": "example/candy-agent", "tag": "1.2.3", "pullPolicy": "Always"},
        imagePullSecrets=[{"name": "pull"}],
        serviceAccount={"annotations": {"example.com/role": "inspector"}},
        podAnnotations={"example.com/seen": "yes"},
        podLabels={"example.com/team": "platform"},
        secret={"data": {"api_key": "k"}},
        service={"port": 80},
        networkPolicy={"egressPorts": []},
        podDisruptionBudget={"enabled": False},
        spool={"sizeLimit": "1Gi"},
        nodeSelector={"kubernetes.io/os": "linux"},
        tolerations=[{"operator": "Exists"}],
        affinity={"nodeAffinity": {}},
        rbac={"ruleNamespaces": [kube_namespace]},
    )
    taken = {item["kind"]: item for made in items for item in kube_cluster.api.apply(made, dry_run=True)}
    pod = taken["Deployment"]["spec"]["template"]
    assert pod["spec"]["containers"][0]["image"] == "example/candy-agent:1.2.3"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert pod["spec"]["affinity"] == {"nodeAffinity": {}}
    assert pod["metadata"]["labels"]["example.com/team"] == "platform"
    assert pod["metadata"]["annotations"]["example.com/seen"] == "yes"
    assert taken["ServiceAccount"]["metadata"]["annotations"]["example.com/role"] == "inspector"
    assert taken["Service"]["spec"]["ports"][0]["port"] == 80
    assert taken["NetworkPolicy"]["spec"]["egress"] == [
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    ]
    assert "PodDisruptionBudget" not in taken
