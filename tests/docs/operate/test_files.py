"""The files for containers fit together, and fit the program."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from nextclick.stream.config.declaration import declared
from nextclick.stream.config.run import RunConfig
from tests.docs.operate.files import (
    CONTAINER,
    OBJECTS,
    OPERATE,
    POD,
    PROMETHEUS,
    ROOT,
    SERVICES,
    configured,
    environment,
    mounts,
    step,
    steps,
)

CHECKS = {
    "hadolint": ["Dockerfile"],
    "check-jsonschema": ["--builtin-schema", "vendor.compose-spec", "compose.yaml"],
    "kubernetes-validate": ["--strict", "operate/kubernetes.yaml"],
    "promtool": ["check", "config", "--lint-fatal", "operate/prometheus.yaml"],
}
"""Programs that check a file by the rules of those who read it."""


@pytest.mark.parametrize("program", CHECKS)
def test_a_file_is_right_by_the_rules_of_its_reader(program: str) -> None:
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}: make checks, or Debian's package prometheus for promtool")
    done = subprocess.run(
        [found, *CHECKS[program]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_made_of_all_that_the_package_is() -> None:
    copied = {word for each, rest in steps() if each == "COPY" for word in rest.split()[:-1]}
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert copied - {"--from=build", "/opt/nextclick"} == let_in
    setup = (ROOT / "setup.py").read_text()
    rooms = re.search(r"for room in \((.*?)\)", setup)
    assert rooms is not None
    assert {"package", "pyproject.toml", "setup.py", *re.findall(r'"(\w+)"', rooms[1])} <= let_in


def test_the_image_has_extras_that_there_are_and_the_tested_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    args = dict(rest.split("=", 1) for word, rest in steps() if word == "ARG" and "=" in rest)
    assert set(args["EXTRAS"].split(",")) <= project["optional-dependencies"].keys()
    assert "serve" in args["EXTRAS"]
    assert args["TORCH"] == "cpu"
    assert re.search(r"^torch==[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_the_variables_of_the_image_are_options() -> None:
    known = {each.variable for each in declared(RunConfig).values()}
    given = {name for name in environment() if name.startswith("NEXTCLICK_")}
    assert given
    assert given <= known
    assert step("EXPOSE").split() == ["8080", environment()["NEXTCLICK_METRICS_PORT"]]


def test_the_image_compiles_its_loops_as_the_tests_do() -> None:
    (compiling,) = [json.loads(rest)[2] for word, rest in steps() if rest.startswith('["python"')]
    makefile = (ROOT / "Makefile").read_text().replace("\\\n\t", "")
    assert f"COMPILE := {compiling}\n" in makefile


def test_nobody_is_root_and_all_write_to_one_place() -> None:
    user, _, group = step("USER").partition(":")
    of_pod, of_container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert user == group == "10001"
    assert of_pod["runAsUser"] == of_pod["runAsGroup"] == of_pod["fsGroup"] == int(user)
    assert of_pod["runAsNonRoot"]
    assert not of_container["allowPrivilegeEscalation"]
    (volume,) = json.loads(step("VOLUME"))
    assert volume == step("WORKDIR") == CONTAINER["volumeMounts"][0]["mountPath"]
    assert mounts("engine")[volume] == "snapshots"
    made = OBJECTS["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]
    assert CONTAINER["volumeMounts"][0]["name"] == made
    for words in (SERVICES["engine"]["command"], CONTAINER["args"]):
        _, config = configured(words)
        assert Path(config.snapshots or "").is_relative_to(volume)


def test_a_stop_leaves_time_for_the_last_snapshot() -> None:
    assert step("STOPSIGNAL") == "SIGTERM"
    # About ten seconds after the batch, and the time of a snapshot.
    assert POD["spec"]["terminationGracePeriodSeconds"] >= 60
    minutes = re.fullmatch(r"(\d+)m", SERVICES["engine"]["stop_grace_period"])
    assert minutes is not None
    assert int(minutes[1]) >= 1


def test_the_commands_of_the_stack_are_commands() -> None:
    variables = {name: text for name, text in environment().items() if "NEXTCLICK" in name}
    source, engine = configured(SERVICES["engine"]["command"], **variables)
    topic = SERVICES["topics"]["command"]
    assert source.endswith("/" + topic[topic.index("--topic") + 1])
    assert engine.metrics_port == 9400
    assert engine.serve == "0.0.0.0:8080"
    # Lists are to be there at once, by default.
    assert not engine.exactly_once
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    place = source.removeprefix("kafka://").partition("/")[0]
    assert f"INSIDE://{place}" in listeners.split(",")
    assert {place} == {
        where.removeprefix("kafka://").partition("/")[0]
        for where in (engine.recommendations, engine.dead_letters)
        if where is not None
    }
    assert engine.items is not None
    folder = mounts("engine")[str(Path(engine.items).parent)]
    assert (ROOT / folder / Path(engine.items).name).exists()
    shop = SERVICES["shop"]["entrypoint"]
    assert engine.allow_origins == f"http://localhost:{shop[3]}"
    _, of_pod = configured(CONTAINER["args"], **variables)
    assert of_pod.metrics_port == 9400


def test_all_that_is_mounted_is_there() -> None:
    volumes = {"snapshots", "prometheus"}
    for name, service in SERVICES.items():
        for inside, here in mounts(name).items():
            assert here in volumes or (ROOT / here).exists(), inside
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "visitors.py" in SERVICES["visitors"]["entrypoint"][1]


def test_prometheus_finds_the_engine_and_the_rules() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    name, _, port = target.partition(":")
    assert name in SERVICES
    assert port == environment()["NEXTCLICK_METRICS_PORT"]
    rules = (OPERATE / "alerts.yaml").read_text()
    assert f'job="{job["job_name"]}"' in rules
    config = SERVICES["prometheus"]["command"][0].partition("=")[2]
    inside = mounts("prometheus")
    assert inside[config] == "./operate/prometheus.yaml"
    for file in PROMETHEUS["rule_files"]:
        assert inside[str(Path(config).parent / file)] == f"./operate/{file}"


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    grafana = OPERATE / "grafana"
    (source,) = yaml.safe_load((grafana / "datasources.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((grafana / "dashboards.yaml").read_text())["providers"]
    inside = mounts("grafana")
    shown = f"{provider['options']['path']}/dashboard.json"
    assert inside[shown] == "./operate/dashboard.json"
    variables = SERVICES["grafana"]["environment"]
    assert variables["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == shown
    assert {
        f"/etc/grafana/provisioning/{kind}/nextclick.yaml" for kind in ("datasources", "dashboards")
    } <= inside.keys()


def test_kubernetes_asks_for_health_where_it_is_told() -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    _, config = configured(CONTAINER["args"])
    assert config.serve == f"0.0.0.0:{ports['http']}"
    assert str(ports["metrics"]) == environment()["NEXTCLICK_METRICS_PORT"]
    for probe, place in (
        ("startupProbe", ("/healthz", "metrics")),
        ("livenessProbe", ("/healthz", "metrics")),
        ("readinessProbe", ("/readyz", "http")),
    ):
        asked = CONTAINER[probe]["httpGet"]
        assert (asked["path"], asked["port"]) == place
    for port in OBJECTS["Service"]["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]
    labels = POD["metadata"]["labels"].items()
    assert OBJECTS["Service"]["spec"]["selector"].items() <= labels
    assert OBJECTS["StatefulSet"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert OBJECTS["StatefulSet"]["spec"]["serviceName"] == OBJECTS["Service"]["metadata"]["name"]


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Serve this status at every path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/healthz"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_image_is_healthy_where_the_engine_is(status: int, code: int) -> None:
    command = json.loads(re.sub(r"^.*?CMD ", "", step("HEALTHCHECK")))
    assert environment()["HEALTH_URL"].endswith(":9400/healthz")
    with answering(status) as address:
        done = subprocess.run(
            [sys.executable, *command[1:]],
            env={"HEALTH_URL": address},
            capture_output=True,
            check=False,
        )
    assert done.returncode == code
