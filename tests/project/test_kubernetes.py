"""The manifests: valid, closed, without a secret, and in words that the program knows."""

import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rules.timing import Timing
from streams.failures import SettingsError
from streams.rule_files import read_rules
from streams.settings import load_settings, unknown_settings

FOLDER = Path(__file__).parents[2] / "deploy" / "k8s"
OLDEST, NEWEST = "1.31", "1.37"

Object = dict[str, Any]


def objects_of(file: Path) -> list[Object]:
    """Return the objects of one file."""
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


KUSTOMIZATION = objects_of(FOLDER / "kustomization.yaml")[0]
APPLIED = [o for name in KUSTOMIZATION["resources"] for o in objects_of(FOLDER / name)]
(SECRET,) = objects_of(FOLDER / "secret.example.yaml")
EVERY = {f"{o['kind']} {o['metadata']['name']}": o for o in [*APPLIED, SECRET]}
PODS = {name: o["spec"]["template"]["spec"] for name, o in EVERY.items() if "template" in str(o)}
WORKERS = EVERY["StatefulSet ringfence-worker"]
SETTINGS: dict[str, str] = EVERY["ConfigMap ringfence-settings-1"]["data"]
FILES = EVERY["ConfigMap ringfence-files-1"]["data"]


def container(pod: Object) -> Object:
    """Return the one container of a pod."""
    (only,) = pod["containers"]
    return dict(only)


def variables(pod: Object) -> dict[str, str]:
    """Return what stands in the environment of a pod's container, as a worker would read it."""
    own = {
        each["name"]: {"metadata.name": "ringfence-worker-0"}[
            each["valueFrom"]["fieldRef"]["fieldPath"]
        ]
        for each in container(pod).get("env", ())
    }
    return SETTINGS | own


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", EVERY)
def test_it_is_valid_by_the_schemas_of_kubernetes(name: str, release: str) -> None:
    kubernetes_validate.validate(EVERY[name], release, strict=True)


def test_the_schemas_refuse_a_misspelt_word() -> None:
    misspelt = deepcopy(WORKERS)
    pod = misspelt["spec"]["template"]["spec"]
    pod["terminationGraceSeconds"] = pod.pop("terminationGracePeriodSeconds")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, NEWEST, strict=True)


def test_every_file_is_applied_but_the_secret() -> None:
    # Applied again, a placeholder would take the place of the key.
    there = {path.name for path in FOLDER.glob("*.yaml")}
    assert there - set(KUSTOMIZATION["resources"]) == {
        "kustomization.yaml",
        "secret.example.yaml",
    }


def test_all_is_in_one_namespace() -> None:
    spaces = {o["metadata"].get("namespace") for o in EVERY.values() if o["kind"] != "Namespace"}
    assert spaces == {KUSTOMIZATION["namespace"]} == {"ringfence"}


def test_the_namespace_takes_restricted_pods_only() -> None:
    labels = EVERY["Namespace ringfence"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", PODS)
def test_nobody_special_runs_it(name: str) -> None:
    context = PODS[name]["securityContext"]
    assert context["runAsNonRoot"] is True
    # As the Dockerfile has it.
    assert (context["runAsUser"], context["runAsGroup"]) == (10001, 10001)
    assert "runAsUser" not in container(PODS[name])["securityContext"]


@pytest.mark.parametrize("name", PODS)
def test_it_may_write_nowhere(name: str) -> None:
    assert container(PODS[name])["securityContext"]["readOnlyRootFilesystem"] is True
    assert all(mount["readOnly"] is True for mount in container(PODS[name])["volumeMounts"])


@pytest.mark.parametrize("name", PODS)
def test_it_has_no_capabilities_and_gets_none(name: str) -> None:
    context = container(PODS[name])["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["allowPrivilegeEscalation"] is False
    assert "privileged" not in context


@pytest.mark.parametrize("name", PODS)
def test_its_system_calls_are_those_of_the_default_profile(name: str) -> None:
    assert PODS[name]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("name", PODS)
def test_it_shares_nothing_of_its_node(name: str) -> None:
    shared = {"hostNetwork", "hostPID", "hostIPC", "hostUsers"}
    assert shared & PODS[name].keys() == set()
    assert [v for v in PODS[name]["volumes"] if v.keys() - {"name", "configMap", "secret"}] == []


@pytest.mark.parametrize("name", PODS)
def test_it_has_no_token_and_no_variables_of_services(name: str) -> None:
    assert PODS[name]["automountServiceAccountToken"] is False
    # A Service named ringfence would make RINGFENCE_SERVICE_HOST, which is no setting.
    assert PODS[name]["enableServiceLinks"] is False


@pytest.mark.parametrize("name", PODS)
def test_it_asks_for_what_it_needs_and_its_memory_has_an_end(name: str) -> None:
    resources = container(PODS[name])["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


@pytest.mark.parametrize("name", PODS)
def test_its_image_is_one_exact_release_that_the_program_has(name: str) -> None:
    image, _, tag = container(PODS[name])["image"].partition(":")
    assert (image, tag) == ("ringfence", version("ringfence"))


@pytest.mark.parametrize("name", PODS)
def test_the_command_line_knows_the_command_of(name: str) -> None:
    # The image's entry point is `ringfence`; a command of the pod's would take its place.
    assert "command" not in container(PODS[name])
    words: list[str] = container(PODS[name])["args"]
    options = [word for word in words if word.startswith("--")]
    result = ringfence(*(words[: words.index(options[0])] if options else words), "--help")
    assert result.returncode == 0, result.stderr
    assert [option for option in options if option not in result.stdout] == []


@pytest.mark.parametrize("name", PODS)
def test_every_variable_is_a_setting_that_can_be_read(name: str, tmp_path: Path) -> None:
    found = variables(PODS[name])
    assert unknown_settings(found) == []
    secret = tmp_path / "secret"
    secret.write_text("an invented secret for tests alone")
    kept = {name: str(secret) for name in found if name.endswith("_FILE")}
    assert len(kept) == 3
    load_settings(found | kept)


@pytest.mark.parametrize("name", PODS)
def test_every_file_that_a_setting_names_is_mounted(name: str) -> None:
    volumes = {volume["name"]: volume for volume in PODS[name]["volumes"]}
    files = set()
    for mount in container(PODS[name])["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "secret" in volume:
            assert volume["secret"]["secretName"] == SECRET["metadata"]["name"]
            # Owner and group, which fsGroup makes ours; nobody else.
            assert volume["secret"]["defaultMode"] == 0o440
            held = SECRET["stringData"]
        else:
            held = EVERY[f"ConfigMap {volume['configMap']['name']}"]["data"]
        files |= {f"{mount['mountPath']}/{file}" for file in held}
    named = {value for value in variables(PODS[name]).values() if value.startswith("/")}
    assert named == files


def test_no_secret_stands_among_the_settings() -> None:
    assert [name for name in SETTINGS if "KEY" in name and not name.endswith("_FILE")] == []
    assert [name for name in SETTINGS if "PASSWORD" in name and not name.endswith("_FILE")] == []


def test_the_placeholders_start_no_worker() -> None:
    assert set(SECRET["stringData"].values()) == {"replace"}
    with pytest.raises(SettingsError, match="7 characters, wanted 16"):
        load_settings({"RINGFENCE_PSEUDONYM_KEY": SECRET["stringData"]["pseudonym_key"]})


def test_what_makes_an_epoch_cannot_change_under_a_running_worker() -> None:
    configured = [o for o in EVERY.values() if o["kind"] == "ConfigMap"]
    assert [o["immutable"] for o in configured] == [True, True]


def test_topics_and_workers_are_of_one_epoch() -> None:
    def configured(pod: Object) -> Iterator[str]:
        yield from (each["configMapRef"]["name"] for each in container(pod)["envFrom"])
        yield from (v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v)

    assert len(PODS) == 2
    assert len({tuple(configured(pod)) for pod in PODS.values()}) == 1


def test_the_catalogue_takes_the_parameters(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(FILES["params.yaml"])
    changed = {r.digest for r in read_rules(None, Timing(), file).rules}
    assert changed == {r.digest for r in read_rules(None, Timing(), None).rules}, (
        "the example says what the catalogue says"
    )


def test_a_worker_has_longer_to_stop_than_it_needs() -> None:
    assert PODS["StatefulSet ringfence-worker"]["terminationGracePeriodSeconds"] > 30


def test_probes_ask_the_pages_that_a_worker_has() -> None:
    worker = container(PODS["StatefulSet ringfence-worker"])
    asked = {name: worker[name]["httpGet"] for name in worker if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in asked.items()} == {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    (port,) = worker["ports"]
    assert {probe["port"] for probe in asked.values()} == {port["name"]}
    assert str(port["containerPort"]) == SETTINGS["RINGFENCE_WEB_PORT"]
    assert SETTINGS["RINGFENCE_WEB_HOST"] == "0.0.0.0"  # noqa: S104 - the pod's own address


def test_each_worker_is_a_member_of_its_own_that_outlasts_its_pod() -> None:
    (own,) = container(PODS["StatefulSet ringfence-worker"])["env"]
    assert own["name"] == "RINGFENCE_GROUP_INSTANCE_ID"
    assert own["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert EVERY["Service ringfence-worker"]["spec"]["clusterIP"] == "None"
    assert WORKERS["spec"]["serviceName"] == "ringfence-worker"


def test_workers_are_found_by_whatever_is_about_them() -> None:
    labels = WORKERS["spec"]["template"]["metadata"]["labels"]
    spec = WORKERS["spec"]["template"]["spec"]
    selectors = [
        WORKERS["spec"]["selector"]["matchLabels"],
        EVERY["PodDisruptionBudget ringfence-worker"]["spec"]["selector"]["matchLabels"],
        EVERY["NetworkPolicy ringfence"]["spec"]["podSelector"]["matchLabels"],
        EVERY["Service ringfence-worker"]["spec"]["selector"],
        *(each["labelSelector"]["matchLabels"] for each in spec["topologySpreadConstraints"]),
    ]
    assert [s for s in selectors if not s or not s.items() <= labels.items()] == []
    assert len(selectors) == 6


def test_one_worker_at_a_time_is_taken_away() -> None:
    assert EVERY["PodDisruptionBudget ringfence-worker"]["spec"]["maxUnavailable"] == 1
    assert WORKERS["spec"]["replicas"] > 1


def test_the_network_is_closed_but_for_metrics_names_and_brokers() -> None:
    spec = EVERY["NetworkPolicy ringfence"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (inward,) = spec["ingress"]
    assert [port["port"] for port in inward["ports"]] == ["metrics"]
    assert inward["from"]
    assert [[port["port"] for port in rule["ports"]] for rule in spec["egress"]] == [
        [53, 53],
        [9093],
    ]
    assert [rule for rule in spec["egress"] if not rule["to"]] == []
    ports = {
        s.rpartition(":")[2] for s in SETTINGS["RINGFENCE_KAFKA_BOOTSTRAP_SERVERS"].split(",")
    }
    assert ports == {"9093"}


def ringfence(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of this environment."""
    command = [str(Path(sys.executable).with_name("ringfence")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
