"""The hosting documents: sums that are right, a paragraph for each alarm, names that exist."""

from math import ceil
from pathlib import Path
import re
from typing import Final

import pytest
import yaml

from tests.bench.scale import CONTACT, HOMES, REFRESH, Cost, need

from .promises import ALARMS
from .stack import SMALLEST, Stack, read_template

ROOT: Final = Path(__file__).parents[2]
HOSTING: Final = (ROOT / "docs" / "hosting.md").read_text("utf-8")
RUNBOOK: Final = (ROOT / "docs" / "runbook.md").read_text("utf-8")
RULES: Final = yaml.safe_load((ROOT / "hosting" / "prometheus" / "companion.rules.yaml").read_text("utf-8"))
ROW: Final = re.compile(r"^\| ([^|]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
TOTAL: Final = re.compile(r"\A\| \*\*Total\*\* \| \| \| \*\*([\d.]+)\*\* \|$", re.MULTILINE)
WORK: Final = re.compile(r"\((\d+(?: GB|)?(?: \u00d7 [\d.]+ ?\w*)*)\)")


def alerts() -> list[dict[str, str]]:
    """Return Prometheus' alerts."""
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def sections() -> dict[str, str]:
    """Return the runbook's sections by their anchors."""
    parts = re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].lower(): part for part in parts}


@pytest.mark.parametrize("size", ["**Up to 1,000 homes**", "**10,000 homes**"])
def test_the_sums_are_right(size: str) -> None:
    table = HOSTING.partition(size)[2].partition("**Total**")
    rows = ROW.findall(table[0])
    assert len(rows) > 10
    for item, quantity, price, month in rows:
        assert float(month) == pytest.approx(float(quantity) * float(price), abs=0.006), item
        if (work := WORK.search(item)) and "GB," not in item:
            product = 1.0
            for factor in re.findall(r"[\d.]+", work[1]):
                product *= float(factor)
            assert product in {float(quantity), float(quantity) / 730}, item
    total = TOTAL.search("| " + table[1] + table[2])
    assert total is not None
    assert float(total[1]) == pytest.approx(sum(float(row[3]) for row in rows), abs=0.006)


@pytest.mark.parametrize(("size", "heading"), [("small", "**Up to 1,000 homes**"), ("medium", "**10,000 homes**")])
def test_the_costs_are_those_of_the_template(size: str, heading: str) -> None:
    table = HOSTING.partition(heading)[2].partition("**Total**")[0]
    stack = Stack(read_template(), {**SMALLEST, "Size": size})
    task = stack.properties("Task")
    tasks = stack.one("AWS::ApplicationAutoScaling::ScalableTarget")["MinCapacity"]
    assert f"{tasks} \u00d7 {int(task['Cpu']) / 1024:g} vCPU" in table
    assert f"{tasks} \u00d7 {int(task['Memory']) // 1024} GB" in table
    database = stack.one("AWS::RDS::DBInstance")
    assert f"`{database['DBInstanceClass']}`" in table
    assert f"({database['AllocatedStorage']} GB" in table
    gateways = len(stack.of("AWS::EC2::NatGateway"))
    assert f"NAT gateway{'s' if gateways > 1 else ''} ({gateways}" in table
    assert f"Alarms | {len(stack.of('AWS::CloudWatch::Alarm'))} " in table
    assert f"Keys | {len(stack.of('AWS::KMS::Key'))} " in table
    assert f"{len(stack.one('AWS::WAFv2::WebACL')['Rules'])} rules" in table


CORES: Final = {"db.t4g.small": 2, "db.m7g.large": 2, "db.r7g.2xlarge": 8}
"""Processors of RDS's classes."""


def test_what_homes_need_follows_from_what_was_measured() -> None:
    bench = (ROOT / "docs" / "bench.md").read_text("utf-8")

    def cost(what: str) -> Cost:
        (row,) = re.findall(rf"^\| {what} \| 1 \|(?: [\d.]+ \|){{3}} ([\d.]+) \| ([\d.]+) \|", bench, re.MULTILINE)
        return Cost(*map(float, row))

    for homes in HOMES:
        found = need(homes, cost(CONTACT), cost(REFRESH))
        assert f"| {homes:,} | {found} |" in bench
        (row,) = re.findall(
            rf"^\| {homes:,} \| ([\d.]+) \| `(\w+)` \| (\d+) \| ([\d.]+) of (\d+) \|$", HOSTING, re.MULTILINE
        )
        requests, size, tasks, database, cores = row
        stack = Stack(read_template(), {**SMALLEST, "Size": size})
        limits = stack.one("AWS::ApplicationAutoScaling::ScalableTarget")
        assert requests == f"{found.requests:.1f}"
        assert int(tasks) == max(ceil(found.companion_cores), int(limits["MinCapacity"])) <= int(limits["MaxCapacity"])
        assert database == f"{found.database_cores:.2f}"
        assert found.database_cores < int(cores) == CORES[stack.one("AWS::RDS::DBInstance")["DBInstanceClass"]]
    (entries,) = re.findall(r"^\| audit entry, all into one chain \| - \| (\d+) \|", bench, re.MULTILINE)
    commands = int(entries) * 86_400 // max(HOMES)
    assert f"{entries} entries a second are {commands} commands a day for each home" in HOSTING


def test_every_alarm_has_its_paragraph() -> None:
    named = {name.lower() for name in ALARMS}
    linked = set()
    for alert in alerts():
        annotations = yaml.safe_load(str(alert["annotations"]))
        place, _, anchor = annotations["runbook"].partition("#")
        assert place == "docs/runbook.md"
        assert f"`{alert['alert']}`" in sections()[anchor], alert["alert"]
        linked.add(anchor)
    assert named | linked == set(sections())
    for name, section in sections().items():
        assert "- **Look**" in section, name
        assert "- **Do**" in section, name


def test_every_alarm_of_aws_leads_to_its_paragraph() -> None:
    stack = Stack(read_template(), SMALLEST)
    described = {
        **{name: one["AlarmDescription"] for name, one in stack.of("AWS::CloudWatch::Alarm").items()},
        **{name: one["Description"] for name, one in stack.of("AWS::Events::Rule").items()},
    }
    for name, text in described.items():
        assert text.endswith(f"(docs/runbook.md#{name.lower()})"), name


def test_the_documents_name_what_the_template_has() -> None:
    template = read_template()
    parameters = set(re.findall(r"\b([A-Z][A-Za-z]+)=", HOSTING)) - {"OutputKey"}
    assert {name for name in parameters if not name.isupper()} <= set(template["Parameters"])
    assert "DevelopersGroup" in template["Outputs"]
    names = {one["LogGroupName"] for one in Stack(template, SMALLEST).of("AWS::Logs::LogGroup").values()}
    for text in (HOSTING, RUNBOOK):
        for group in re.findall(r"/(?:STACK|\$STACK)/([a-z-]+)", text):
            assert f"/teslafi/{group}" in names, group


def test_what_cannot_be_shown_has_its_command() -> None:
    rows = HOSTING.partition("## What only an account can show")[2].strip().splitlines()[2:]
    assert len(rows) >= 8
    assert all(row.count("`") >= 2 for row in rows)
