"""How the companion is installed and run: what was tested is resolved, and all that is not needed is taken away."""

from configparser import ConfigParser
from pathlib import Path
import re
import tomllib
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.version import Version
import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
COMPANION: Final = ROOT / "companion"


def project() -> dict[str, Any]:
    return tomllib.loads((COMPANION / "pyproject.toml").read_text())


def locked() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}


def requirements() -> list[Requirement]:
    said = project()["project"]
    return [Requirement(one) for one in [*said["dependencies"], *said["optional-dependencies"]["aws"]]]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda one: one.name)
def test_a_dependency_begins_with_what_was_tested_and_is_capped(requirement: Requirement) -> None:
    tested = Version(locked()[requirement.name]["version"])
    bounds = {one.operator: Version(one.version) for one in requirement.specifier}
    assert bounds[">="] == tested
    assert tested < bounds["<"] <= Version(f"{tested.major}.{tested.minor + 1}")


def test_what_builds_the_wheel_is_one_version() -> None:
    """It writes its version into the wheel, which stands in the image: the digest is of one builder."""
    (builder,) = (Requirement(one) for one in project()["build-system"]["requires"])
    assert [one.operator for one in builder.specifier] == ["=="]


def closure() -> dict[str, str]:
    """Return all that the companion brings along, out of the lock."""
    packages, waiting = locked(), ["teslafi-companion"]
    found: dict[str, str] = {}
    while waiting:
        package = packages[waiting.pop()]
        extras = package.get("optional-dependencies", {}).values()
        for one in [*package.get("dependencies", []), *(one for extra in extras for one in extra)]:
            if "win32" in one.get("marker", "") or one["name"] in found:
                continue
            found[one["name"]] = packages[one["name"]]["version"]
            waiting.append(one["name"])
    return found


def test_the_constraints_are_the_lock_s() -> None:
    lines = [line for line in (COMPANION / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.partition(" ;")[0].strip().split("==") for line in lines)
    of_lock = closure()

    assert pinned.items() <= of_lock.items()
    assert {one.name for one in requirements()} <= pinned.keys()


TAKEN_AWAY: Final = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "ProtectProc": "invisible",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native",
    "LimitCORE": "0",
    "MemorySwapMax": "0",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
    "User": "companion",
}


def unit() -> dict[str, list[str]]:
    """Return the directives of the unit's service, each with all its values."""
    text = (COMPANION / "systemd" / "teslafi-companion.service").read_text()
    reader = ConfigParser(strict=False, interpolation=None)
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    reader.read_string(text)
    service = re.search(r"\[Service\]\n(.*?)\n\[Install\]", text, re.DOTALL)
    assert service is not None
    found: dict[str, list[str]] = {}
    for line in service[1].splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    assert found.keys() == set(reader["Service"])
    return found


@pytest.mark.parametrize(("directive", "value"), TAKEN_AWAY.items(), ids=TAKEN_AWAY)
def test_the_unit_takes_away_what_is_not_needed(directive: str, value: str) -> None:
    assert unit()[directive] == [value]


def test_the_unit_leaves_what_is_needed() -> None:
    service = unit()
    assert service["ExecStart"] == ["/usr/local/bin/teslafi-companion serve"]
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert int(service["LimitNOFILE"][0]) >= 900, "connections and what is beside them"
    assert int(service["TimeoutStopSec"][0]) > 20, "shutdown_seconds"


def services() -> dict[str, dict[str, Any]]:
    said: dict[str, dict[str, Any]] = yaml.safe_load((COMPANION / "compose.yaml").read_text())["services"]
    return said


@pytest.mark.parametrize("name", ["database", "companion", "proxy"])
def test_a_container_has_no_more_than_it_needs(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "devices", "pid", "ipc", "userns_mode"} & service.keys()
    assert service["pids_limit"] <= 128
    assert service["mem_limit"] == service["memswap_limit"], "no swap: keys stay in memory"
    assert service["cpus"] <= 1
    assert all(not volume.startswith(("/", ".", "~")) for volume in service.get("volumes", [])), "no folder of the host"


def test_images_are_named_by_whoever_runs_them_with_their_digests() -> None:
    found = services()
    images = [found["database"]["image"], found["proxy"]["image"], found["companion"]["build"]["args"]["PYTHON_IMAGE"]]
    assert all(re.fullmatch(r"\$\{[A-Z]+_IMAGE:\?write it with its digest into \.env\}", image) for image in images)
    assert "image" not in found["companion"]
    steps = (COMPANION / "Containerfile").read_text()
    assert re.findall(r"^FROM (\S+)", steps, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2
    assert re.search(r"^USER companion$", steps, re.MULTILINE)


def test_addresses_of_visitors_arrive() -> None:
    """Port forwarding of rootless containers hides them: Caddy is on the host's network, the rest on loopback."""
    found = services()
    assert found["proxy"]["network_mode"] == "host"
    assert "ports" not in found["proxy"]
    assert all(port.startswith("127.0.0.1:") for port in found["companion"]["ports"])
    assert "ports" not in found["database"]
    assert found["database"]["network_mode"] == "service:companion"


def test_the_document_leads_to_both() -> None:
    text = (ROOT / "docs" / "companion.md").read_text()
    assert "uv tool install ./companion --constraints companion/constraints.txt" in text
    assert "companion/systemd/teslafi-companion.service" in text
    assert {f"{name}_IMAGE=" for name in ("POSTGRES", "CADDY", "PYTHON")} <= set(re.findall(r"[A-Z]+_IMAGE=", text))
