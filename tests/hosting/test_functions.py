"""The two functions inside the template, run as AWS runs them: against botocore's own models, and against moto."""

from collections.abc import Iterator
import json
import smtplib
from typing import Any, Final, Self

import boto3
from botocore.stub import Stubber
from moto import mock_aws
import pytest

from .stack import Tree, read_template

REGION: Final = "eu-central-1"
LARGEST: Final = 4096
"""Bytes of code that a template may hold for a function."""


def code(name: str) -> str:
    """Return a function's code as it stands in the template."""
    text: str = read_template()["Resources"][name]["Properties"]["Code"]["ZipFile"]
    return text


def run(name: str) -> dict[str, Any]:
    """Load a function's module."""
    module: dict[str, Any] = {}
    exec(compile(code(name), f"{name}.py", "exec"), module)  # noqa: S102 - our own template
    return module


@pytest.fixture(autouse=True)
def at_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in a region, with credentials that open nothing."""
    for key, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "USER": "mail",
        "CLUSTER": "teslafi",
        "SERVICE": "companion",
    }.items():
        monkeypatch.setenv(key, value)


@pytest.mark.parametrize("name", ["InspectorFunction", "MailRotationFunction"])
def test_the_code_fits_into_the_template(name: str) -> None:
    assert len(code(name).encode()) <= LARGEST


# Inspector

ENABLED: Final = {"status": "ENABLED", "errorCode": "NONE", "errorMessage": "none"}
ENABLING: Final = {**ENABLED, "status": "ENABLING"}
EVENT: Final = {
    "StackId": "arn:stack",
    "RequestId": "request",
    "LogicalResourceId": "Inspector",
    "ResponseURL": "https://cloudformation.example/answer",
    "ResourceProperties": {"ResourceTypes": ["ECR", "EC2", "LAMBDA"]},
}


def refused(kind: str) -> Tree:
    """Return an account that Inspector could not be enabled for."""
    return {"accountId": "123456789012", "errorCode": kind, "errorMessage": "said Inspector"}


def state(**kinds: Tree) -> Tree:
    """Return an answer about the account, every kind of resource enabled but the ones named."""
    resources = {"ec2": ENABLED, "ecr": ENABLED, "lambda": ENABLED, "lambdaCode": ENABLED} | kinds
    account = {"accountId": "123456789012", "state": ENABLED, "resourceState": resources}
    return {"accounts": [account], "failedAccounts": []}


class Inspected:
    """The function with a stubbed Inspector: botocore holds what is sent and answered against Inspector's model."""

    def __init__(self, failed: list[Tree], states: list[Tree]) -> None:
        """Take whom Inspector refuses, and what it says each time that it is asked."""
        self.answers: list[Tree] = []
        self.module = run("InspectorFunction")
        client = boto3.client("inspector2", region_name=REGION)
        self.stub = Stubber(client)
        self.stub.add_response(
            "enable", {"accounts": [], "failedAccounts": failed}, {"resourceTypes": ["ECR", "EC2", "LAMBDA"]}
        )
        for one in states:
            self.stub.add_response("batch_get_account_status", one, {})
        self.module["boto3"] = self
        self.module["time"] = self
        self.module["urllib"] = self
        self.waited = 0
        self._client = client

    def client(self, name: str) -> object:
        """Be boto3."""
        assert name == "inspector2"
        return self._client

    def sleep(self, seconds: int) -> None:
        """Be time."""
        self.waited += seconds

    @property
    def request(self) -> Self:
        """Be urllib.request."""
        return self

    def Request(self, url: str, body: bytes, headers: Tree, method: str) -> Tree:  # noqa: N802 - urllib's name
        """Keep what CloudFormation is told."""
        assert (url, method, headers) == (EVENT["ResponseURL"], "PUT", {"Content-Type": ""})
        answer: Tree = json.loads(body)
        self.answers.append(answer)
        return answer

    def urlopen(self, _request: Tree, timeout: int) -> Self:
        """Deliver it."""
        assert timeout
        return self

    def close(self) -> None:
        """Be done."""

    def handle(self, kind: str) -> Tree:
        """Let CloudFormation call it; return what it answered."""
        with self.stub:
            self.module["handler"]({**EVENT, "RequestType": kind}, None)
        (answer,) = self.answers
        return answer


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_inspector_is_enabled_and_waited_for(kind: str) -> None:
    inspected = Inspected([], [state(ecr=ENABLING), state(ec2=ENABLING), state()])
    assert inspected.handle(kind)["Status"] == "SUCCESS"
    assert inspected.waited == 20
    inspected.stub.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["ALREADY_ENABLED", "ENABLE_IN_PROGRESS"])
def test_what_is_enabled_already_is_no_fault(code: str) -> None:
    assert Inspected([refused(code)], [state()]).handle("Create")["Status"] == "SUCCESS"


def test_a_refusal_fails_the_stack() -> None:
    answer = Inspected([refused("ACCESS_DENIED")], []).handle("Create")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "RuntimeError: ACCESS_DENIED said Inspector"


def test_what_never_becomes_enabled_fails_the_stack() -> None:
    answer = Inspected([], [state(**{"lambda": ENABLING})] * 24).handle("Create")
    assert answer["Status"] == "FAILED"
    assert "LAMBDA" in answer["Reason"]


def test_inspector_that_does_not_answer_fails_the_stack() -> None:
    inspected = Inspected([], [])
    inspected.stub.add_client_error("batch_get_account_status", "ThrottlingException")
    assert inspected.handle("Create")["Status"] == "FAILED"


def test_deleting_the_stack_leaves_inspector_on() -> None:
    """Somebody else in the account may rely on it."""
    inspected = Inspected([], [])
    assert inspected.handle("Delete")["Status"] == "SUCCESS"
    with pytest.raises(AssertionError):
        inspected.stub.assert_no_pending_responses()


def test_every_answer_names_the_request() -> None:
    for inspected in (Inspected([], [state()]), Inspected([refused("INTERNAL_ERROR")], [])):
        answer = inspected.handle("Create")
        assert {answer[key] for key in ("StackId", "RequestId", "LogicalResourceId")} == {
            "arn:stack",
            "request",
            "Inspector",
        }
        assert answer["PhysicalResourceId"] == "inspector"


def test_every_kind_that_the_template_asks_for_is_one_of_inspectors() -> None:
    asked = read_template()["Resources"]["Inspector"]["Properties"]["ResourceTypes"]
    model = boto3.client("inspector2", region_name=REGION).meta.service_model
    known = model.operation_model("Enable").input_shape.members["resourceTypes"].member.enum
    states = model.shape_for("ResourceState").members
    name = run("InspectorFunction")["name"]
    assert set(asked) <= set(known)
    assert {name(kind) for kind in (*asked, "LAMBDA_CODE")} <= set(states)


# Rotation of the mail password


class Server:
    """SES's mail server, which knows a new key only after some tries."""

    logins: list[tuple[str, str]]
    refusals: int

    def __init__(self, host: str, port: int, timeout: int) -> None:
        """Be connected to."""
        assert (host, port) == (f"email-smtp.{REGION}.amazonaws.com", 587)
        assert timeout
        self._encrypted = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def starttls(self, context: object) -> None:
        """Encrypt."""
        assert context is not None
        self._encrypted = True

    def login(self, name: str, password: str) -> None:
        """Let in, or not."""
        assert self._encrypted
        if Server.refusals:
            Server.refusals -= 1
            raise smtplib.SMTPAuthenticationError(535, b"not yet")
        Server.logins.append((name, password))


class Rotation:
    """A mail user and its secret at moto, with the function that rotates it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make both as the template does."""
        self.iam = boto3.client("iam")
        self.secrets = boto3.client("secretsmanager")
        self.iam.create_user(UserName="mail")
        begun = json.dumps({"username": "none", "password": "random"})
        self.secret = self.secrets.create_secret(Name="mail", SecretString=begun)["ARN"]
        self.module = run("MailRotationFunction")
        self.waits: list[int] = []
        Server.logins, Server.refusals = [], 0
        monkeypatch.setattr(smtplib, "SMTP", Server)
        monkeypatch.setattr(self.module["time"], "sleep", self.waits.append)

    def step(self, name: str, token: str) -> None:
        """Let Secrets Manager call one step."""
        event = {"Step": name, "SecretId": self.secret, "ClientRequestToken": token}
        self.module["handler"](event, None)

    def rotate(self, token: str) -> None:
        """Let Secrets Manager call all of them."""
        for name in ("createSecret", "setSecret", "testSecret", "finishSecret"):
            self.step(name, token)

    @property
    def current(self) -> Tree:
        """Return the secret that tasks start with."""
        value: Tree = json.loads(
            self.secrets.get_secret_value(SecretId=self.secret, VersionStage="AWSCURRENT")["SecretString"]
        )
        return value

    @property
    def keys(self) -> set[str]:
        """Return the user's keys."""
        return {one["AccessKeyId"] for one in self.iam.list_access_keys(UserName="mail")["AccessKeyMetadata"]}


@pytest.fixture
def rotation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rotation]:
    """Run moto in this process."""
    with mock_aws():
        yield Rotation(monkeypatch)


TOKENS: Final = tuple(f"{number}" * 32 for number in range(1, 6))


def test_rotating_gives_a_new_key_that_was_proved(rotation: Rotation) -> None:
    rotation.rotate(TOKENS[0])
    first = rotation.current
    assert rotation.keys == {first["username"]}
    assert Server.logins == [(first["username"], first["password"])]
    rotation.rotate(TOKENS[1])
    assert rotation.current["username"] != first["username"]
    # Tasks that have not started anew yet still send with the one before
    assert rotation.keys == {first["username"], rotation.current["username"]}


def test_a_user_never_runs_out_of_keys(rotation: Rotation) -> None:
    """IAM gives two at most; each rotation takes away the one that no task holds."""
    seen = set()
    for token in TOKENS:
        rotation.rotate(token)
        seen.add(rotation.current["username"])
        assert len(rotation.keys) <= 2
    assert len(seen) == len(TOKENS)


@pytest.mark.parametrize("step", ["createSecret", "testSecret", "finishSecret"])
def test_every_step_may_come_twice(rotation: Rotation, step: str) -> None:
    rotation.rotate(TOKENS[0])
    for name in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        rotation.step(name, TOKENS[1])
        if name == step:
            keys = rotation.keys
            rotation.step(name, TOKENS[1])
            assert rotation.keys == keys
    assert rotation.current["username"] in rotation.keys


def test_a_rotation_that_died_is_taken_up_by_the_next(rotation: Rotation) -> None:
    rotation.rotate(TOKENS[0])
    before = rotation.current
    rotation.step("createSecret", TOKENS[1])
    assert rotation.current == before
    rotation.rotate(TOKENS[1])
    rotation.rotate(TOKENS[2])
    assert before["username"] not in rotation.keys


def test_a_new_key_gets_time_to_be_known(rotation: Rotation) -> None:
    Server.refusals = 3
    rotation.rotate(TOKENS[0])
    assert rotation.waits == [10, 10, 10]
    assert rotation.current["username"] in rotation.keys


def test_a_key_that_is_never_let_in_does_not_become_current(rotation: Rotation) -> None:
    Server.refusals = 100
    with pytest.raises(smtplib.SMTPAuthenticationError):
        rotation.rotate(TOKENS[0])
    assert rotation.current == {"username": "none", "password": "random"}
    assert sum(rotation.waits) < 120


def test_tasks_start_anew_with_the_new_key(rotation: Rotation, capsys: pytest.CaptureFixture[str]) -> None:
    ecs = boto3.client("ecs")
    ecs.create_cluster(clusterName="teslafi")
    rotation.rotate(TOKENS[0])
    assert "no service yet" in capsys.readouterr().out
    container = {"name": "companion", "image": "i", "memory": 128}
    ecs.register_task_definition(family="companion", containerDefinitions=[container])
    ecs.create_service(cluster="teslafi", serviceName="companion", taskDefinition="companion", desiredCount=2)
    calls: list[Tree] = []
    rotation.module["ecs"].meta.events.register(
        "provide-client-params.ecs.UpdateService", lambda params, **_: calls.append(params)
    )
    rotation.rotate(TOKENS[1])
    assert calls == [{"cluster": "teslafi", "service": "companion", "forceNewDeployment": True}]


def test_no_step_says_a_password(rotation: Rotation, capsys: pytest.CaptureFixture[str]) -> None:
    rotation.rotate(TOKENS[0])
    said = capsys.readouterr()
    assert rotation.current["password"] not in said.out + said.err


@pytest.mark.parametrize(
    ("region", "key", "password"),
    [
        ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("eu-central-1", "another+secret+key", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
    ],
)
def test_the_password_is_the_one_that_ses_expects(rotation: Rotation, region: str, key: str, password: str) -> None:
    """Values of HashiCorp's AWS provider, whose `ses_smtp_password_v4` is in use against the real SES."""
    rotation.module["REGION"] = region
    assert rotation.module["password"](key) == password
