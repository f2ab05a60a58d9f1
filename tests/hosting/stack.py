"""A CloudFormation template as the stack that it makes: parameters filled in, conditions decided, functions worked out.

What only AWS knows stays a marker: `<Database.Endpoint.Address>` for an attribute, `<Database>` for a reference.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
import re
from typing import Any, Final, cast

import yaml

TEMPLATE: Final = Path(__file__).parents[2] / "hosting" / "aws" / "companion.yaml"

type Tree = dict[str, Any]
"""A template, or a part of it, as YAML's plain values; functions in their long form (`Fn::Sub`)."""

NOTHING: Final = object()
"""What AWS::NoValue becomes: the property is left out."""

PSEUDO: Final[Mapping[str, object]] = {
    "AWS::AccountId": "123456789012",
    "AWS::NoValue": NOTHING,
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::StackName": "teslafi",
}
SMALLEST: Final[Mapping[str, object]] = {
    "Domain": "companion.example.org",
    "HostedZone": "Z0123456789",
    "DatabaseAuthority": f"-----BEGIN CERTIFICATE-----\n{'A' * 200}\n-----END CERTIFICATE-----\n",
    "AlarmAddress": "operator@example.org",
    "SecurityContact": "mailto:security@example.org",
    "SecurityExpires": "2027-06-01T00:00:00Z",
    "DeveloperNetworks": ["203.0.113.7/32", "198.51.100.0/28"],
    "ImageDigest": f"sha256:{'0' * 64}",
}
"""The parameters that a person has to give, and an image."""
EVERYTHING: Final[Mapping[str, object]] = {
    **SMALLEST,
    "Size": "medium",
    "ConsoleImage": f"public.ecr.aws/docker/library/postgres@sha256:{'1' * 64}",
    "ChargebeeSite": "acme",
    "ChargebeeItemPrices": "controls-USD-monthly=Controls",
    "SshKeyName": "host",
    "SshNetwork": "203.0.113.0/28",
    "SshNetworkTwo": "198.51.100.7/32",
}
"""The same with every option taken."""


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms."""


def _function(loader: yaml.CSafeLoader, tag: str, node: yaml.Node) -> Tree:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if tag == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _function)


def read_template(path: Path = TEMPLATE) -> Tree:
    """Read a template; whoever asks may change it."""
    return deepcopy(_parsed(path.read_text("utf-8")))


@cache
def _parsed(text: str) -> Tree:
    template: Tree = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader with functions
    return template


class Stack:
    """What a template makes with these parameters."""

    def __init__(self, template: Tree, parameters: Mapping[str, object] = SMALLEST) -> None:
        """Work the template out; a parameter that is missing takes its default."""
        self.template = template
        self._parameters = {
            name: parameters.get(name, item.get("Default", f"<{name}>"))
            for name, item in template["Parameters"].items()
        }
        self._conditions: dict[str, bool] = {}
        self._functions: Mapping[str, Callable[[Any], object]] = {
            "Ref": self._ref,
            "Condition": self._condition,
            "Fn::GetAtt": lambda path: f"<{'.'.join(path)}>",
            "Fn::GetAZs": lambda _region: ["zone-a", "zone-b", "zone-c"],
            "Fn::Sub": self._sub,
            "Fn::Join": lambda value: value[0].join(str(self.worked_out(one)) for one in value[1]),
            "Fn::Select": lambda value: self._list(value[1])[int(value[0])],
            "Fn::FindInMap": self._find,
            "Fn::Base64": self.worked_out,
            "Fn::If": lambda value: self.worked_out(value[1] if self._condition(value[0]) else value[2]),
            "Fn::Equals": lambda value: self.worked_out(value[0]) == self.worked_out(value[1]),
            "Fn::Not": lambda value: not self.worked_out(value[0]),
            "Fn::And": lambda value: all(self.worked_out(one) for one in value),
        }
        self.resources: dict[str, Tree] = {
            name: self._resource(resource)
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or self._condition(resource["Condition"])
        }

    def of(self, *kinds: str) -> dict[str, Tree]:
        """Return the properties of all resources of these types, by name."""
        return {name: one.get("Properties", {}) for name, one in self.resources.items() if one["Type"] in kinds}

    def one(self, kind: str) -> Tree:
        """Return the properties of the only resource of this type; empty if there is none or another one."""
        found = list(self.of(kind).values())
        return found[0] if len(found) == 1 else {}

    def properties(self, name: str) -> Tree:
        """Return the properties of a resource; empty if there is no such resource."""
        properties: Tree = self.resources.get(name, {}).get("Properties", {})
        return properties

    def policies(self) -> Iterator[tuple[str, Tree]]:
        """Give each statement of each policy, with the name of the resource that carries it."""
        for name, resource in self.resources.items():
            for document in _documents(resource.get("Properties", {})):
                for statement in document["Statement"]:
                    yield name, statement

    def worked_out(self, value: object) -> Any:  # noqa: ANN401 - YAML's values
        """Return a value with its functions worked out."""
        if isinstance(value, dict):
            if len(value) == 1 and (name := next(iter(value))) in self._functions:
                return self._functions[name](value[name])
            pairs = ((key, self.worked_out(one)) for key, one in value.items())
            return {key: one for key, one in pairs if one is not NOTHING}
        return self._list(value) if isinstance(value, list) else value

    def _resource(self, resource: Tree) -> Tree:
        return {key: value if key == "Condition" else self.worked_out(value) for key, value in resource.items()}

    def _list(self, value: object) -> list[Any]:
        items = value if isinstance(value, list) else self.worked_out(value)
        return [one for one in map(self.worked_out, items) if one is not NOTHING]

    def _condition(self, name: str) -> bool:
        if name not in self._conditions:
            self._conditions[name] = bool(self.worked_out(self.template["Conditions"][name]))
        return self._conditions[name]

    def _ref(self, name: str) -> object:
        if name in PSEUDO:
            return PSEUDO[name]
        return self._parameters.get(name, f"<{name}>")

    def _sub(self, text: str) -> str:
        def filled(found: re.Match[str]) -> str:
            name = found[1]
            return f"${{{name[1:]}}}" if name.startswith("!") else str(self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", filled, text)

    def _find(self, value: list[object]) -> object:
        name, first, second = (self.worked_out(one) for one in value)
        return self.template["Mappings"][name][first][second]


def _documents(properties: Tree) -> Iterator[Tree]:
    for key in ("AssumeRolePolicyDocument", "PolicyDocument", "KeyPolicy", "RepositoryPolicyText"):
        if key in properties:
            yield properties[key]
    for policy in properties.get("Policies", []):
        yield policy["PolicyDocument"]


def as_list(value: object) -> list[Any]:
    """Return what IAM takes as one value or as a list, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
