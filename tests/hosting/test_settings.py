"""The companion takes what the template gives to its containers, and the filters read what the companion writes."""

from collections.abc import Mapping
from pathlib import Path
import re
from typing import Final

import pytest

import teslafi_companion
from teslafi_companion.adapters.chargebee.settings import ChargebeeSettings
from teslafi_companion.cli import COMMANDS
from teslafi_companion.configuration import load_settings
from teslafi_companion.settings import Settings

from .stack import EVERYTHING, SMALLEST, Stack, Tree, read_template

SOURCE: Final = Path(teslafi_companion.__file__).parent
MARKERS: Final = {
    "<Database.Endpoint.Address>": "teslafi.abc123.eu-central-1.rds.amazonaws.com",
    "<Database.MasterUserSecret.SecretArn>": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-0-AbCdEf",
    "<FieldKey.Arn>": "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d",
}
AUTHORITY: Final = """-----BEGIN CERTIFICATE-----
MIIBPjCB5KADAgECAgEBMAoGCCqGSM49BAMCMB0xGzAZBgNVBAMMEm5vYm9keSdz
IGF1dGhvcml0eTAgFw0yNjExMjYwMDAwMDBaGA8yMTI2MTEyNjAwMDAwMFowHTEb
MBkGA1UEAwwSbm9ib2R5J3MgYXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAET28eW2LzJFifEcFXXccbXGWDSUFELrP0o6aE2IJ6CBZbhKhwkvGpkD6V
U/EzH8Vy851DOWXkHYdemJrB08DrpaMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNJADBGAiEA7G+F6NluogfS4bVgVf9VLdKZ8gyAGz2aNEUfaZjXZAsC
IQDFHN0x2WgCIJZmK1KoRq5/NzA0h0VRt0Hp8MrbeHYZdA==
-----END CERTIFICATE-----
"""
"""A certificate whose key nobody has."""


def containers(parameters: Mapping[str, object]) -> list[Tree]:
    """Return the containers that run the companion."""
    stack = Stack(read_template(), {**parameters, "DatabaseAuthority": AUTHORITY})
    tasks = stack.of("AWS::ECS::TaskDefinition").values()
    found = [one for task in tasks for one in task["ContainerDefinitions"]]
    return [one for one in found if one["Name"] != "console"]


def environment(container: Tree) -> dict[str, str]:
    """Return what a container is told, with AWS's answers filled in."""
    told = {one["Name"]: str(one["Value"]) for one in container["Environment"]}
    told |= {one["Name"]: "a-user:a-long-secret-of-theirs" for one in container.get("Secrets", [])}
    for marker, answer in MARKERS.items():
        told = {name: value.replace(marker, answer) for name, value in told.items()}
    return told


@pytest.mark.parametrize("parameters", [SMALLEST, EVERYTHING], ids=["smallest", "everything"])
def test_the_companion_takes_its_settings(parameters: Mapping[str, object]) -> None:
    for container in containers(parameters):
        settings = load_settings(environment(container))
        assert settings.base_url == "https://companion.example.org"
        assert settings.key_provider == "aws-kms"
        assert settings.database_tls is not None
        assert settings.serves_tls
        assert settings.database_url.password is None
        assert container["Command"][0] in COMMANDS


def test_the_serving_container_fits_its_task() -> None:
    stack = Stack(read_template(), {**EVERYTHING, "DatabaseAuthority": AUTHORITY})
    (container,) = [one for one in containers(EVERYTHING) if one["Command"] == ["serve"]]
    settings = load_settings(environment(container))
    assert [one["ContainerPort"] for one in container["PortMappings"]] == [settings.listen_port]
    assert stack.one("AWS::ElasticLoadBalancingV2::TargetGroup")["Port"] == settings.listen_port
    assert container["StopTimeout"] > settings.shutdown_seconds
    assert container["Ulimits"][0]["SoftLimit"] > settings.connections + 100
    public = [stack.properties(name)["CidrBlock"] for name in ("PublicOne", "PublicTwo")]
    assert list(settings.trusted_proxies) == public
    assert (settings.smtp_security, settings.smtp_port) == ("starttls", 587)
    assert isinstance(settings.keeper, ChargebeeSettings)
    pool = settings.database_pool * int(stack.one("AWS::ApplicationAutoScaling::ScalableTarget")["MaxCapacity"])
    assert pool < stack.properties("DatabaseConnections")["Threshold"]


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_every_size_has_fewer_connections_than_its_alarm(size: str) -> None:
    stack = Stack(read_template(), {**SMALLEST, "Size": size})
    # A rolling deployment doubles the tasks for some minutes
    most = 2 * Settings.database_pool * int(stack.one("AWS::ApplicationAutoScaling::ScalableTarget")["MaxCapacity"])
    assert most < stack.properties("DatabaseConnections")["Threshold"]


def test_filters_read_what_is_written() -> None:
    """A word that the companion no longer writes would make its alarm silent."""
    code = "".join(file.read_text("utf-8") for file in SOURCE.rglob("*.py"))
    filters = Stack(read_template(), SMALLEST).of("AWS::Logs::MetricFilter")
    ours = {name: one for name, one in filters.items() if one["LogGroupName"] != "<TrailLogs>"}
    assert len(ours) == 5
    for name, item in ours.items():
        pattern = item["FilterPattern"]
        event = re.fullmatch(r'\{ \$\.event = "(\w+)" \}', pattern)
        words = [event[1]] if event else re.findall(r'"([^"]+)"', pattern)
        assert words, name
        for word in words:
            assert f'"{word}"' in code or all(part in code for part in word.split()), (name, word)
        for figure in re.findall(r"\$\.(\w+)", str(item["MetricTransformations"])):
            assert f"{figure}=" in code, (name, figure)


def test_the_image_can_ask_aws() -> None:
    """The template's companion keeps its key and its password there: an image without the extra would not start."""
    recipe = (SOURCE.parents[1] / "Containerfile").read_text("utf-8")
    assert re.search(r"uv sync .*--package teslafi-companion .*--extra aws", recipe)
