"""`docs/operations.md` and what watches a worker: complete, and in words that the code knows."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.metrics import METRICS, Metric
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
RULES = ROOT / "deploy/prometheus/ringfence.rules.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/ringfence.json"
BY_NAME = {metric.name: metric for metric in METRICS}
FAILURES = {"OutsideFailure", "SettingsError", "UsageFailure", "Failure"}
SENTENCE_MAKERS = {"topics_changed", "_retained_away"}
"""They return the sentence that their caller raises a failure with."""
READ_FOR_OTHERS = {"streams.rule_files", "streams.files", "streams.logs"}
"""Their sentences are about rule files, and name the file and the line."""
START_NONE = {"streams.brokers", "streams.children"}
"""A worker only asks the first whether plain Kafka answers; it starts no broker."""


def table() -> str:
    """Return the table of metrics as the page has to have it."""
    rows = ["| metric | labels | what it is | when it is bad |", "|---|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(
            f"| `{metric.name}` ({metric.kind}) | {labels} | {metric.help} | {metric.bad} |"
        )
    return "\n".join(rows)


def test_the_page_has_every_metric_as_the_list_has_it() -> None:
    found = PAGE.partition("<!-- metrics -->\n")[2].partition("\n<!-- end -->")[0]
    assert found == table()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_as_prometheus_wants_it(metric: Metric) -> None:
    assert re.fullmatch(r"(ringfence|process)_[a-z_]+", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.help.endswith(".")
    assert metric.bad.endswith(".")


@cache
def worker_modules() -> list[str]:
    """Return the modules of ours that a worker loads."""
    code = "import sys, streams.worker; print(*sorted(m for m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = [name for name in done.stdout.split() if name.startswith("streams.")]
    return [name for name in ours if name not in READ_FOR_OTHERS | START_NONE]


def tree_of(module: str) -> ast.Module:
    """Return a module's syntax tree."""
    path = ROOT / (module.replace(".", "/") + ".py")
    path = path if path.exists() else path.with_suffix("") / "__init__.py"
    return ast.parse(path.read_text(encoding="utf-8"))


def shape(node: ast.expr) -> str:
    """Return a sentence with `…` for what is put into it."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(shape(part) for part in parts)
    return "…"


@cache
def constants() -> dict[tuple[str, str], ast.expr]:
    """Return what the names of constants stand for, by module and name."""
    return {
        (module, node.target.id): node.value
        for module in worker_modules()
        for node in tree_of(module).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.value is not None
    }


def sentences() -> Iterator[str]:
    """Yield the sentence of each failure that a worker can end with."""
    for module in worker_modules():
        for node in ast.walk(tree_of(module)):
            match node:
                case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=[text, *_])):
                    if name in FAILURES:
                        yield shape(constants().get((module, ast.unparse(text)), text))
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    if name in SENTENCE_MAKERS:
                        found = [n for n in ast.walk(node) if isinstance(n, ast.Return)]
                        yield from (shape(n.value) for n in found if n.value is not None)


def words_of(sentence: str) -> list[str]:
    """Return what of a sentence is always the same, as far as it is more than a word or so."""
    parts = (part.strip(' ",:;()') for part in sentence.split("…"))
    return [part for part in parts if len(part) > 6]


def test_every_sentence_that_a_worker_can_end_with_is_in_the_page() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    found = {s for s in sentences() if words_of(s)}
    assert len(found) > 20
    missing = [s for s in found if not any(all(w in row for w in words_of(s)) for row in rows)]
    assert missing == []


def test_no_failure_takes_its_sentence_from_where_this_test_does_not_look() -> None:
    elsewhere = {
        (module, ast.unparse(node.exc))
        for module in worker_modules()
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in FAILURES
        and node.exc.args
        and shape(node.exc.args[0]) == "…"
        and (module, ast.unparse(node.exc.args[0])) not in constants()
    }
    assert elsewhere == {
        ("streams.intake", "OutsideFailure(_retained_away(error))"),
        ("streams.intake", "OutsideFailure(wrong)"),
        ("streams.settings", "SettingsError(_sentence(error, texts, given))"),
        # Why a broker is out of reach: each names the setting, and docs/security.md the rest.
        ("streams.topics", "OutsideFailure(refusal.sentence)"),
    }


def events() -> Iterator[tuple[str, str]]:
    """Yield each event that a worker logs, with its level."""
    for module in worker_modules():
        for node in ast.walk(tree_of(module)):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="info" | "warning" | "error" | "critical" as level),
                    args=[ast.Constant(value=str() as event), *_],
                ):
                    yield event, level


def test_every_event_of_the_log_is_in_the_page_and_no_other() -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \| (info|warning|error|critical) \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(set(events()))


def test_every_setting_that_the_page_and_the_metrics_name_is_one() -> None:
    named = set(re.findall(r"RINGFENCE_([A-Z_]*[A-Z])", PAGE))
    known = {(field.alias or name).upper() for name, field in Settings.model_fields.items()}
    assert named <= known | {"PSEUDONYM_KEY_FILE"}


def expressions() -> Iterator[str]:
    """Yield every query of the alert rules and of the dashboard."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    yield from (rule["expr"] for group in groups for rule in group["rules"])
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    yield from (target["expr"] for panel in panels for target in panel["targets"])


def names_in(expression: str) -> set[str]:
    """Return the metrics that a query names."""
    bare = re.sub(r'"[^"]*"', "", expression)
    names = set(re.findall(r"\b(?:ringfence|process|faust)_[a-z_]+", bare))
    histograms = {metric.name for metric in METRICS if metric.kind == "histogram"}
    return {
        re.sub(r"_(bucket|sum|count)$", "", n) if n[: n.rfind("_")] in histograms else n
        for n in names
    }


def test_every_metric_that_alert_rules_and_the_dashboard_name_exists() -> None:
    named = {name for expression in expressions() for name in names_in(expression)}
    assert named <= BY_NAME.keys()
    # And hardly any is there that nobody looks at.
    assert {m.name for m in METRICS} - named <= {
        "ringfence_worker_info",
        "ringfence_facts_total",
        "ringfence_skipped_rows_total",
        "ringfence_records_without_value_total",
        "ringfence_events_below_horizon_total",
        "ringfence_commits_total",
        "ringfence_refused_commits_total",
    }


def test_every_label_that_they_group_by_is_one_of_its_metric() -> None:
    for expression in expressions():
        for name in names_in(expression):
            grouped = re.findall(r"by \(([^)]*)\)", expression)
            labels = {label.strip() for found in grouped for label in found.split(",")}
            assert labels <= {*BY_NAME[name].labels, "le", "instance"}, expression


@pytest.fixture(scope="session")
def promtool() -> str:
    """Give promtool: what is installed, else that of the distribution's package."""
    installed = shutil.which("promtool")
    if installed is not None:
        return installed
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "ringfence/promtool"
    found = folder / "usr/bin/promtool"
    if not found.exists():
        apt_get, dpkg_deb = shutil.which("apt-get"), shutil.which("dpkg-deb")
        if apt_get is None or dpkg_deb is None:
            pytest.skip("no promtool: it is not installed, and there is no apt-get to fetch it")
        folder.mkdir(parents=True, exist_ok=True)
        got = subprocess.run(
            [apt_get, "download", "prometheus"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        packages = sorted(folder.glob("prometheus_*.deb"))
        if got.returncode or not packages:
            pytest.skip(f"no promtool: apt-get has not fetched it: {got.stderr.strip()[-200:]}")
        subprocess.run([dpkg_deb, "-x", packages[-1].name, "."], cwd=folder, check=True)
    return str(found)


def test_prometheus_takes_its_configuration_and_the_alert_rules(promtool: str) -> None:
    config = ROOT / "deploy/prometheus/prometheus.yml"
    done = subprocess.run(
        [promtool, "check", "config", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


def test_prometheus_refuses_a_rule_that_is_none(promtool: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(RULES.read_text().replace("ringfence_stalled_lanes > 0", "sum by ("))
    done = subprocess.run([promtool, "check", "rules", str(broken)], check=False)
    assert done.returncode != 0
