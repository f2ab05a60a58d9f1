"""Rules and dashboard ask for figures that the companion really shows, by labels that they really have."""

import json
from pathlib import Path
import re
from threading import Thread
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families
import pytest
import yaml

from teslafi_companion import cli
from teslafi_companion.http.metrics import LoopFigures, Metrics

ROOT: Final = Path(__file__).parents[2]
RULES: Final = yaml.safe_load((ROOT / "hosting" / "prometheus" / "companion.rules.yaml").read_text("utf-8"))
TESTS: Final = yaml.safe_load((ROOT / "hosting" / "prometheus" / "companion.rules.test.yaml").read_text("utf-8"))
DASHBOARD: Final = json.loads((ROOT / "hosting" / "grafana" / "companion.json").read_text("utf-8"))
ADDED: Final = frozenset({"job", "instance", "le"})
"""Labels that Prometheus adds, and the one of a histogram's buckets."""
NAME: Final = re.compile(r"\bcompanion_\w+")
SELECTOR: Final = re.compile(r"\b(companion_\w+)\{([^}]*)\}")
GROUPED: Final = re.compile(r"by \(([^)]*)\)")

type Figures = dict[str, set[str]]
"""Names of figures -> the labels that they have."""


@pytest.fixture
async def shown(socket_enabled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Figures:
    """Return every figure that a companion shows once it has answered, and that its check writes."""
    metrics = Metrics()
    metrics.webhook("new")

    async def waiting() -> tuple[int, float]:
        return 0, 0.0

    app = web.Application(middlewares=[metrics.middleware()])
    loops = {"outbox": LoopFigures(degraded=False, failed=0)}
    async with (
        TestClient(TestServer(app)) as client,
        TestClient(TestServer(metrics.application(waiting, lambda: loops))) as prometheus,
    ):
        await client.get("/nothing")
        page = await (await prometheus.get("/metrics")).text()
    figures: Figures = {}
    for text in (page, written_by_check(tmp_path, monkeypatch)):
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                figures.setdefault(sample.name, set()).update(sample.labels)
    return figures


def written_by_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what `check --textfile` writes about a new database."""
    monkeypatch.setenv("TESLAFI_COMPANION_DATABASE", f"sqlite:///{folder / 'data' / 'companion.sqlite3'}")
    monkeypatch.setenv("TESLAFI_COMPANION_KEY_FILE", str(folder / "keys" / "companion.key"))
    file = folder / "figures" / "companion.prom"
    file.parent.mkdir()
    # The command runs an event loop of its own
    thread = Thread(target=cli.main, args=[["check", "--textfile", str(file)]])
    thread.start()
    thread.join()
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    return file.read_text("utf-8")


def expressions() -> dict[str, str]:
    """Return every expression of the rules and of the dashboard, by where it stands."""
    found = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
    for panel in DASHBOARD["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found[variable["name"]] = variable["query"]
    return found


def test_every_figure_is_shown(shown: Figures, subtests: pytest.Subtests) -> None:
    for place, expression in expressions().items():
        with subtests.test(place):
            names = set(NAME.findall(expression))
            assert names or "up{" in expression
            assert names <= set(shown)
            known = ADDED.union(*(shown[name] for name in names))
            for name, selector in SELECTOR.findall(expression):
                assert set(re.findall(r"(\w+)\s*=~?", selector)) <= shown[name] | ADDED, name
            for labels in GROUPED.findall(expression):
                assert {label.strip() for label in labels.split(",")} <= known


def test_every_figure_is_used(shown: Figures) -> None:
    """What nobody looks at need not be counted."""
    asked = {name for expression in expressions().values() for name in NAME.findall(expression)}
    assert {name for name in shown if not name.endswith("_created")} <= asked


def test_every_alert_is_tried_quiet_and_loud() -> None:
    tried: dict[str, set[bool]] = {}
    for test in TESTS["tests"]:
        for one in test["alert_rule_test"]:
            tried.setdefault(one["alertname"], set()).add(bool(one["exp_alerts"]))
    alerts = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
    assert {name for name, results in tried.items() if results == {True, False}} == alerts


def test_the_dashboard_can_be_imported() -> None:
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert max(columns) < 24
        taken |= cells
        assert panel["datasource"]["uid"] == "${source}"
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


def test_figures_that_cannot_be_written_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TESLAFI_COMPANION_DATABASE", f"sqlite:///{tmp_path / 'data' / 'companion.sqlite3'}")
    monkeypatch.setenv("TESLAFI_COMPANION_KEY_FILE", str(tmp_path / "keys" / "companion.key"))
    assert cli.main(["check", "--textfile", str(tmp_path / "missing" / "companion.prom")]) == 1
    assert "could not be written" in capsys.readouterr().err
