"""What the template promises, each as a function that names the faults it finds; a promise without faults is kept.

`FIELD` says which of them keep the promises of the field's security page (about.teslafi.com/security, read 2026-11-26).
"""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
import re
from typing import Any, Final

from .stack import EVERYTHING, SMALLEST, Stack, Tree, as_list

type Promise = Callable[[Stack], Iterator[str]]

PROMISES: Final[dict[str, Promise]] = {}
"""Every promise by its name."""

WORLD: Final = ("0.0.0.0/0", "::/0")
SSH: Final = 22
HOUR: Final = 3600
LONGEST_SSH_PREFIX: Final = 28
SHORTEST_RETENTION: Final = 365
"""Days that logs are kept at least."""
WAYS_OUT: Final = frozenset(
    {
        ("TaskAccess", "tcp", 443, 443),
        ("TaskAccess", "tcp", 587, 587),
        ("ConsoleAccess", "tcp", 443, 443),
        ("SshAccess", "tcp", 443, 443),
    }
)
"""Security groups and what they may reach in the whole internet."""
TLS: Final = ("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-TLS13-1-3-2021-06")
"""AWS's policies with TLS 1.3 whose older ciphers all have forward secrecy."""
ALARMS: Final = frozenset(
    {
        "AuditBroken",
        "AuditUnchecked",
        "DatabaseConnections",
        "DatabaseProcessor",
        "DatabaseStorage",
        "GuardDutyFinding",
        "GuardsChanged",
        "InspectorFinding",
        "LoopFailed",
        "MailWaiting",
        "OperatorCame",
        "SecurityContactExpires",
        "ServerErrors",
        "SignInWithoutSecondFactor",
        "SlowAnswers",
        "TooFewTasks",
    }
)
LIMITED: Final = ("/sign-in", "/oauth/", "/webhooks/")
"""Beginnings of the paths that have a rate rule of their own."""
TASK_MAY: Final = frozenset({"secretsmanager:GetSecretValue", "kms:Decrypt"})
"""All that the serving tasks' role may do; FieldKey's own policy adds two more, with their context."""
OPERATOR_MAY: Final = frozenset(
    {
        "ecs:DescribeTasks",
        "ecs:ExecuteCommand",
        "ecs:RunTask",
        "ecs:StopTask",
        "iam:PassRole",
        "logs:DescribeLogStreams",
        "logs:FilterLogEvents",
        "logs:GetLogEvents",
    }
)
"""All that the role for people may do."""
OWN_SECOND_FACTOR: Final = frozenset(
    {
        "iam:ChangePassword",
        "iam:CreateVirtualMFADevice",
        "iam:EnableMFADevice",
        "iam:GetUser",
        "iam:ListMFADevices",
        "iam:ResyncMFADevice",
    }
)
"""What people may do about their own second factor, if they have one."""
WITHOUT_SECOND_FACTOR: Final = frozenset({"iam:GetUser", "iam:ListMFADevices", "sts:AssumeRole", "sts:GetSessionToken"})
"""What it takes to name one's second factor and to show it. None of it enrolls one."""
HIGHEST_LIMIT: Final = 3000
"""Requests of one address in five minutes."""
GUARDS: Final[dict[str, tuple[str, ...]]] = {
    "OperatorCame": ("AssumeRole",),
    "GuardsChanged": (
        *("StopLogging", "DeleteTrail", "UpdateTrail", "DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy"),
        *("DeleteDetector", "UpdateDetector", "DeleteFlowLogs", "DisassociateWebACL", "DeleteWebACL"),
        *("DeleteDBInstance", "ModifyDBInstance", "AuthorizeSecurityGroupIngress", "Disable"),
    ),
    "SignInWithoutSecondFactor": ("ConsoleLogin",),
}
"""Alarms that hear of calls in the whole account -> the calls."""
UNBOUND: Final = frozenset(
    {
        "ecr:GetAuthorizationToken",
        "inspector2:BatchGetAccountStatus",
        "inspector2:Enable",
        "logs:DescribeLogGroups",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    }
)
"""Actions for which IAM knows no resource."""


def promise(keeper: Promise) -> Promise:
    """Add a promise to the table under its function's name."""
    PROMISES[keeper.__name__] = keeper
    return keeper


def faults(template: Tree) -> list[str]:
    """Return what is wrong with a template, in words, with the smallest set of parameters and with every option."""
    found: dict[str, None] = {}
    for parameters in (SMALLEST, EVERYTHING):
        stack = Stack(template, parameters)
        for name, keeper in PROMISES.items():
            found.update((f"{name}: {fault}", None) for fault in keeper(stack))
    return list(found)


# Database


@promise
def database_is_encrypted(stack: Stack) -> Iterator[str]:
    """The database, its snapshots, its Performance Insights and its password are encrypted by a key of our own."""
    database = stack.one("AWS::RDS::DBInstance")
    if database.get("StorageEncrypted") is not True:
        yield "the storage is not encrypted"
    for name in ("KmsKeyId", "PerformanceInsightsKMSKeyId"):
        if database.get(name) != "<DataKey.Arn>":
            yield f"{name} is not a key of our own"
    if database.get("MasterUserSecret", {}).get("KmsKeyId") != "<DataKey.Arn>":
        yield "its password is not encrypted by a key of our own"
    if not database.get("EnablePerformanceInsights"):
        yield "Performance Insights is off"


@promise
def database_is_private(stack: Stack) -> Iterator[str]:
    """No address of the internet leads to the database: not public, subnets without a way out, two groups let in."""
    database = stack.one("AWS::RDS::DBInstance")
    if database.get("PubliclyAccessible") is not False:
        yield "the database is public"
    subnets = stack.one("AWS::RDS::DBSubnetGroup").get("SubnetIds", [])
    if database.get("DBSubnetGroupName") != "<DatabaseSubnets>" or len(subnets) < 2:
        yield "the database has no subnets of its own"
    for subnet in subnets:
        tables = {
            one["RouteTableId"]
            for one in stack.of("AWS::EC2::SubnetRouteTableAssociation").values()
            if one["SubnetId"] == subnet
        }
        if not tables:
            yield f"{subnet} uses the network's main routes"
        if any(route["RouteTableId"] in tables for route in stack.of("AWS::EC2::Route").values()):
            yield f"{subnet} has a way out"
    if database.get("VPCSecurityGroups") != ["<DatabaseAccess>"]:
        yield "the database has other security groups"
    for rule in _ingress(stack, "DatabaseAccess"):
        source = rule.get("SourceSecurityGroupId")
        if source not in {"<TaskAccess>", "<ConsoleAccess>"} or (rule["FromPort"], rule["ToPort"]) != (5432, 5432):
            yield f"the database lets in {_said(rule)}"


@promise
def database_lives_in_two_zones(stack: Stack) -> Iterator[str]:
    """The database has a standby in another zone."""
    if stack.one("AWS::RDS::DBInstance").get("MultiAZ") is not True:
        yield "the database is in one zone"
    if len(_zones(stack, stack.one("AWS::RDS::DBSubnetGroup").get("SubnetIds", []))) < 2:
        yield "its subnets are in one zone"


@promise
def database_takes_encrypted_connections_only(stack: Stack) -> Iterator[str]:
    """The server refuses plain connections, and every client checks its certificate."""
    parameters = stack.one("AWS::RDS::DBParameterGroup").get("Parameters", {})
    if str(parameters.get("rds.force_ssl")) != "1":
        yield "the server takes connections in clear"
    if stack.one("AWS::RDS::DBInstance").get("DBParameterGroupName") != "<DatabaseParameters>":
        yield "the server does not use these parameters"
    for name, container in _containers(stack):
        environment = _environment(container)
        if name == "console":
            if environment.get("PGSSLMODE") != "verify-full":
                yield "the console does not check the certificate"
        elif not str(environment.get("TESLAFI_COMPANION_DATABASE", "")).endswith("?sslmode=verify-full"):
            yield f"{name} does not check the database's certificate"


@promise
def database_is_backed_up(stack: Stack) -> Iterator[str]:
    """Backups of 14 days, kept when the database is deleted, which is not done by accident."""
    database = stack.one("AWS::RDS::DBInstance")
    if int(database.get("BackupRetentionPeriod", 1)) < 14:
        yield "backups are kept for less than 14 days"
    if database.get("DeletionProtection") is not True:
        yield "one command deletes the database"
    if database.get("DeleteAutomatedBackups") is not False:
        yield "backups go with the database"
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if stack.resources.get("Database", {}).get(policy) not in {"Snapshot", "Retain"}:
            yield f"{policy} takes no snapshot"


@promise
def logged_statements_hold_no_values(stack: Stack) -> Iterator[str]:
    """What the database logs of a slow or failed statement leaves out what people typed."""
    parameters = stack.one("AWS::RDS::DBParameterGroup").get("Parameters", {})
    for name in ("log_parameter_max_length", "log_parameter_max_length_on_error"):
        if str(parameters.get(name)) != "0":
            yield f"{name} is not 0"
    if parameters.get("log_statement") not in {"ddl", "none"}:
        yield "every statement is logged"


# Secrets and keys


@promise
def passwords_change_by_themselves(stack: Stack) -> Iterator[str]:
    """The passwords that this stack makes live in Secrets Manager under a key of our own, and rotate."""
    database = stack.one("AWS::RDS::DBInstance")
    if database.get("ManageMasterUserPassword") is not True or "MasterUserPassword" in database:
        yield "the database's password is not RDS's to change"
    rotated = stack.one("AWS::SecretsManager::RotationSchedule")
    if rotated.get("SecretId") != "<MailSecret>" or rotated.get("RotationLambdaARN") != "<MailRotationFunction.Arn>":
        yield "the mail password is not rotated"
    if not 0 < int(rotated.get("RotationRules", {}).get("AutomaticallyAfterDays", 0)) <= 90:
        yield "the mail password is older than 90 days"
    for name, secret in stack.of("AWS::SecretsManager::Secret").items():
        if secret.get("KmsKeyId") != "<DataKey.Arn>":
            yield f"{name} is not encrypted by a key of our own"
        if "SecretString" in secret:
            yield f"{name} stands in the template"
    for name, container in _containers(stack):
        for key, value in _environment(container).items():
            if re.search(r"PASSWORD|API_KEY|CREDENTIALS", key) or re.search(r"//[^/@]*:[^/@]*@", str(value)):
                yield f"{name} gets {key} in clear"
        yield from (
            f"{name} gets {one['Name']} from elsewhere than Secrets Manager"
            for one in container.get("Secrets", [])
            if not re.match(r"<(MailSecret|ChargebeeSecret|Database\.MasterUserSecret\.SecretArn)>:", one["ValueFrom"])
        )


@promise
def keys_rotate_and_stay(stack: Stack) -> Iterator[str]:
    """Keys rotate, outlive the stack, and nobody can use them because of their account alone."""
    keys = stack.of("AWS::KMS::Key")
    if {"FieldKey", "DataKey", "LogKey"} - set(keys):
        yield "a key is missing"
    for name, key in keys.items():
        if key.get("EnableKeyRotation") is not True:
            yield f"{name} does not rotate"
        if stack.resources[name].get("DeletionPolicy") != "Retain":
            yield f"{name} goes with the stack"
        for statement in key["KeyPolicy"]["Statement"]:
            uses = {
                one for one in as_list(statement["Action"]) if re.search(r"\*|crypt|GenerateDataKey|CreateGrant", one)
            }
            if not uses or "Condition" in statement:
                continue
            if any(str(one).endswith(":root") or one == "*" for one in as_list(_principal(statement))):
                yield f"{name} can be used by the whole account"


@promise
def field_key_opens_for_the_companion_only(stack: Stack) -> Iterator[str]:
    """The key-encryption key is in KMS, and opens for the serving role with the companion's context only."""
    for statement in stack.properties("FieldKey").get("KeyPolicy", {"Statement": []})["Statement"]:
        uses = [one for one in as_list(statement["Action"]) if re.search(r"\*|crypt|GenerateDataKey|CreateGrant", one)]
        if not uses:
            continue
        context = statement.get("Condition", {}).get("StringEquals", {}).get("kms:EncryptionContext:service")
        if _principal(statement) != "<TaskRole.Arn>" or context != "teslafi-companion":
            yield f"{statement.get('Sid', 'a statement')} opens it for others, or without the context"
    for name, container in _containers(stack):
        if name == "console":
            continue
        environment = _environment(container)
        chosen = (
            environment.get("TESLAFI_COMPANION_KEY_PROVIDER"),
            environment.get("TESLAFI_COMPANION_AWS_KMS_KEY_ID"),
        )
        if chosen != ("aws-kms", "<FieldKey.Arn>"):
            yield f"{name} does not keep its key in KMS"


# Ways in for people


@promise
def no_network_leads_in_for_people(stack: Stack) -> Iterator[str]:
    """No port for administration is open but SSH to hosts of one's own, from the named networks of /28 or smaller."""
    for name, rule in _all_ingress(stack):
        cidr = rule.get("CidrIp", rule.get("CidrIpv6"))
        first, last = int(rule.get("FromPort", 0)), int(rule.get("ToPort", 65535))
        if cidr in WORLD and (name, first, last) not in {("BalancerAccess", 443, 443), ("BalancerAccess", 80, 80)}:
            yield f"{name} is open to the world on {first} to {last}"
        if first <= SSH <= last:
            if name != "SshAccess" or "SshNetwork" not in stack.template["Parameters"]:
                yield f"{name} opens SSH"
            elif cidr is None or ip_network(cidr).prefixlen < LONGEST_SSH_PREFIX:
                yield f"{name} opens SSH to {cidr}"


@promise
def nothing_for_people_has_a_public_address(stack: Stack) -> Iterator[str]:
    """There is no bastion; serving tasks cannot be entered, and neither they nor what starts in a subnet is public."""
    for name, instance in stack.of("AWS::EC2::Instance").items():
        yield f"{name} is a host: {instance.get('ImageId')}"
    for name, service in stack.of("AWS::ECS::Service").items():
        if service.get("EnableExecuteCommand") is not False:
            yield f"tasks of {name} can be entered"
        if service["NetworkConfiguration"]["AwsvpcConfiguration"].get("AssignPublicIp") != "DISABLED":
            yield f"tasks of {name} have public addresses"
    for name, subnet in stack.of("AWS::EC2::Subnet").items():
        if subnet.get("MapPublicIpOnLaunch") is not False:
            yield f"{name} gives public addresses"


@promise
def ssh_comes_from_small_networks(stack: Stack) -> Iterator[str]:
    """Whoever wants SSH to hosts of their own names networks; the parameters refuse any that is larger than /28."""
    for name in ("SshNetwork", "SshNetworkTwo"):
        pattern = stack.template["Parameters"].get(name, {}).get("AllowedPattern", "")
        for network in (
            "0.0.0.0/0",
            "::/0",
            "203.0.113.0/24",
            "203.0.113.0/27",
            "203.0.113.0",
            "10.0.0.0/8",
            "300.1.1.1/32",
        ):
            if re.fullmatch(pattern, network):
                yield f"{name} takes {network}"
        for network in ("203.0.113.0/28", "203.0.113.7/32"):
            if not re.fullmatch(pattern, network):
                yield f"{name} refuses {network}"


@promise
def ssh_is_by_key(stack: Stack) -> Iterator[str]:
    """Hosts with SSH take keys only, have encrypted disks and give their role's credentials by IMDSv2 only."""
    for name, template in stack.of("AWS::EC2::LaunchTemplate").items():
        data = template["LaunchTemplateData"]
        if not data.get("KeyName"):
            yield f"{name} has no key"
        for line in ("PasswordAuthentication no", "KbdInteractiveAuthentication no", "AuthenticationMethods publickey"):
            if line not in data.get("UserData", ""):
                yield f"{name} is without {line}"
        if data.get("MetadataOptions", {}).get("HttpTokens") != "required":
            yield f"{name} gives its role's keys to any request (IMDSv1)"
        if not all(one["Ebs"].get("Encrypted") is True for one in data.get("BlockDeviceMappings", [{"Ebs": {}}])):
            yield f"{name} has a disk in clear"
        if data.get("SecurityGroupIds") != ["<SshAccess>"]:
            yield f"{name} has other security groups"


@promise
def people_need_a_second_factor(stack: Stack) -> Iterator[str]:
    """One role for people is assumed with MFA of the last hour, for an hour. Nobody enrolls MFA without MFA."""
    account = stack.worked_out({"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"})
    for name, statement in _trusted_people(stack):
        if name != "OperatorRole":
            yield f"{name} can be assumed by people"
        if statement["Principal"] != {"AWS": account}:
            yield f"{name} can be assumed from other accounts"
        condition = statement.get("Condition", {})
        if condition.get("Bool", {}).get("aws:MultiFactorAuthPresent") != "true":
            yield f"{name} can be assumed without MFA"
        if int(condition.get("NumericLessThan", {}).get("aws:MultiFactorAuthAge", 10**6)) > HOUR:
            yield f"{name} takes an MFA of long ago"
    if int(stack.properties("OperatorRole").get("MaxSessionDuration", HOUR)) > HOUR:
        yield "a session of the operator lasts longer than an hour"
    without = [one for name, one in stack.policies() if name == "Developers" and one["Effect"] == "Deny"]
    if not any(
        one["Condition"] == {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
        and set(as_list(one.get("NotAction", "*"))) <= WITHOUT_SECOND_FACTOR
        and one.get("Resource") == "*"
        for one in without
    ):
        yield "developers need no second factor"


@promise
def people_come_from_a_listed_network(stack: Stack) -> Iterator[str]:
    """The role for people is assumed from a listed network of /24 or smaller, and works from there only."""
    pattern = stack.template["Parameters"].get("DeveloperNetworks", {}).get("AllowedPattern", "")
    for network in ("0.0.0.0/0", "::/0", "10.0.0.0/8", "203.0.113.0/23", "203.0.113.0"):
        if re.fullmatch(pattern, network):
            yield f"DeveloperNetworks takes {network}"
    listed = stack.worked_out({"Ref": "DeveloperNetworks"})
    for name, statement in _trusted_people(stack):
        if statement.get("Condition", {}).get("IpAddress", {}).get("aws:SourceIp") != listed:
            yield f"{name} can be assumed from anywhere"
    denied = [
        one
        for name, one in stack.policies()
        if name == "OperatorPolicy" and one["Effect"] == "Deny" and one.get("Action") == one.get("Resource") == "*"
    ]
    elsewhere = {"NotIpAddress": {"aws:SourceIp": listed}, "Bool": {"aws:ViaAWSService": "false"}}
    if not any(one.get("Condition") == elsewhere for one in denied):
        yield "the operator's credentials work from anywhere"


@promise
def people_may_little(stack: Stack) -> Iterator[str]:
    """People run, enter, see and stop tasks and read logs; no right of theirs changes a right, a key or a guard."""
    may = {
        "OperatorRole": OPERATOR_MAY,
        "Developers": OWN_SECOND_FACTOR | {"sts:AssumeRole"},
        "MailUser": frozenset({"ses:SendRawEmail"}),
    }
    for name in stack.of("AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::AccessKey"):
        if name not in may:
            yield f"{name} is a way in of its own"
    for name, statement in stack.policies():
        if statement["Effect"] != "Allow" or "Principal" in statement:
            continue
        said = stack.properties(name)
        named = [one for key in ("RoleName", "Roles", "Groups", "Users") for one in as_list(said.get(key))]
        for carrier in {name, *(str(one).strip("<>") for one in named)} & may.keys():
            yield from (f"{carrier} may {one}" for one in set(as_list(statement.get("Action"))) - may[carrier])


@promise
def sessions_are_recorded(stack: Stack) -> Iterator[str]:
    """People enter the console only, a task of its own; what happens there is written to an encrypted log."""
    recorded = stack.one("AWS::ECS::Cluster").get("Configuration", {}).get("ExecuteCommandConfiguration", {})
    if recorded.get("Logging") != "OVERRIDE" or recorded.get("KmsKeyId") != "<LogKey.Arn>":
        yield "sessions are not recorded, or not encrypted"
    if recorded.get("LogConfiguration") != {
        "CloudWatchLogGroupName": "<SessionLogs>",
        "CloudWatchEncryptionEnabled": True,
    }:
        yield "sessions are recorded elsewhere"
    for name, statement in stack.policies():
        if statement["Effect"] != "Allow" or not _may(statement, "ecs:ExecuteCommand"):
            continue
        if name != "OperatorPolicy":
            yield f"{name} may enter tasks"
        if statement.get("Condition", {}).get("StringEquals", {}).get("ecs:container-name") != "console":
            yield f"{name} may enter other containers than the console"


@promise
def console_ends(stack: Stack) -> Iterator[str]:
    """A database console that nobody stops ends by itself after an hour."""
    for name, container in _containers(stack):
        if name != "console":
            continue
        (command,) = container["Command"]
        # The shell becomes what it waits for, so nothing comes after it
        sleeps = re.fullmatch(r"(?:[^;&|]+; )?exec sleep (\d+)", command)
        if container["EntryPoint"] != ["sh", "-c"] or sleeps is None or int(sleeps[1]) > HOUR:
            yield "the console outlives its hour"


# Rights


@promise
def no_wildcard_action_on_a_wildcard_resource(stack: Stack) -> Iterator[str]:
    """Every right names its actions; those on every resource are the ones for which IAM knows none."""
    for name, statement in stack.policies():
        if statement["Effect"] != "Allow":
            continue
        actions = as_list(statement.get("Action"))
        if "NotAction" in statement or "NotResource" in statement:
            yield f"{name} allows everything but something"
        yield from (f"{name} allows {one}" for one in actions if "*" in one)
        if stack.resources[name]["Type"] == "AWS::KMS::Key":
            continue  # in a key's own policy the star is the key
        if "*" in as_list(statement.get("Resource")):
            yield from (f"{name} allows {one} on everything" for one in actions if one not in UNBOUND)
    for name, carrier in stack.of("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group").items():
        for arn in carrier.get("ManagedPolicyArns", []):
            if not arn.endswith("service-role/AmazonRDSEnhancedMonitoringRole"):
                yield f"{name} carries {arn}"


@promise
def rights_name_people_and_secrets(stack: Stack) -> Iterator[str]:
    """No policy allows everybody anything, no function has an address, and rights on secrets name the secret."""
    for name, statement in stack.policies():
        if statement["Effect"] != "Allow":
            continue
        if statement.get("Principal") in ("*", {"AWS": "*"}):
            yield f"{name} allows everybody"
        if any(one.startswith("secretsmanager:") for one in as_list(statement.get("Action"))):
            for resource in as_list(statement.get("Resource")):
                if not re.fullmatch(r"<[\w.]+>", resource):
                    yield f"{name} may do something with {resource}"
    yield from (f"{name} lets anybody call a function" for name in stack.of("AWS::Lambda::Url"))


@promise
def ways_out_are_few(stack: Stack) -> Iterator[str]:
    """What runs in the network reaches out for HTTPS alone, tasks for mail as well, and the database not at all."""
    for name, group in stack.of("AWS::EC2::SecurityGroup").items():
        if not group.get("SecurityGroupEgress"):
            yield f"{name} has every way out"
        for rule in group.get("SecurityGroupEgress", []):
            way = rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort")
            if rule.get("CidrIp", rule.get("CidrIpv6")) in WORLD and (name, *way) not in WAYS_OUT:
                yield f"{name} has a way out: {way}"


@promise
def tasks_may_little(stack: Stack) -> Iterator[str]:
    """The serving role reads the database's password, and nothing else but the field key's own two actions."""
    for name, statement in stack.policies():
        roles = {"TaskRole"} if name == "TaskRole" else {stack.properties(name).get("RoleName", "").strip("<>")}
        if "TaskRole" not in roles or statement.get("Action") == "sts:AssumeRole":
            continue
        for action in set(as_list(statement.get("Action"))) - TASK_MAY:
            yield f"the tasks may {action}"
        allowed = {"<Database.MasterUserSecret.SecretArn>", "<DataKey.Arn>"}
        for resource in set(as_list(statement.get("Resource"))) - allowed:
            yield f"the tasks may do something with {resource}"
    for name in ("MailUser",):
        statements = [one for carrier, one in stack.policies() if carrier == name]
        if [one.get("Action") for one in statements] != ["ses:SendRawEmail"]:
            yield f"{name} may do more than send mail"
        if not all("ses:FromAddress" in one.get("Condition", {}).get("StringEquals", {}) for one in statements):
            yield f"{name} may send in any name"


# What the world sees


@promise
def visitors_come_by_https_only(stack: Stack) -> Iterator[str]:
    """TLS 1.3 (1.2 with forward secrecy at least), HSTS of a year, and a redirect from plain HTTP."""
    listeners = stack.of("AWS::ElasticLoadBalancingV2::Listener")
    served = [one for one in listeners.values() if one.get("Protocol") == "HTTPS"]
    if not served:
        yield "nothing listens for HTTPS"
    for listener in served:
        if listener.get("SslPolicy") not in TLS:
            yield f"old TLS: {listener.get('SslPolicy')}"
        attributes = {one["Key"]: one["Value"] for one in listener.get("ListenerAttributes", [])}
        header = attributes.get("routing.http.response.strict_transport_security.header_value", "")
        age = re.search(r"max-age=(\d+)", header)
        if age is None or int(age[1]) < 31536000:
            yield "no HSTS of a year"
    for name, listener in listeners.items():
        if listener.get("Protocol") == "HTTPS":
            continue
        actions = listener["DefaultActions"]
        if not all(one["Type"] == "redirect" and one["RedirectConfig"].get("Protocol") == "HTTPS" for one in actions):
            yield f"{name} serves in clear"


@promise
def tasks_are_reached_encrypted_by_the_balancer(stack: Stack) -> Iterator[str]:
    """Between balancer and task it is HTTPS as well; nothing else reaches a task, and no smuggled request does."""
    for name, group in stack.of("AWS::ElasticLoadBalancingV2::TargetGroup").items():
        if group.get("Protocol") != "HTTPS":
            yield f"{name} is reached in clear"
    for rule in _ingress(stack, "TaskAccess"):
        if rule.get("SourceSecurityGroupId") != "<BalancerAccess>":
            yield f"the tasks let in {_said(rule)}"
    attributes = _attributes(stack)
    if attributes.get("routing.http.drop_invalid_header_fields.enabled") != "true":
        yield "headers that are none reach the tasks"
    if attributes.get("routing.http.desync_mitigation_mode") not in {"strictest", "defensive"}:
        yield "requests can be smuggled"


@promise
def codes_stay_out_of_logs(stack: Stack) -> Iterator[str]:
    """No log of the balancer or the firewall holds sign-in codes, mailed links, cookies or tokens."""
    if _attributes(stack).get("access_logs.s3.enabled", "false") != "false":
        yield "the balancer logs whole addresses"
    logging = stack.one("AWS::WAFv2::LoggingConfiguration")
    if {"QueryString": {}} not in logging.get("RedactedFields", []):
        yield "the firewall logs query strings"
    for header in ("authorization", "cookie"):
        if {"SingleHeader": {"Name": header}} not in logging.get("RedactedFields", []):
            yield f"the firewall logs {header}"
    for rule in stack.one("AWS::WAFv2::WebACL").get("Rules", []):
        if rule["VisibilityConfig"].get("SampledRequestsEnabled") is not False:
            yield f"the firewall's rule {rule['Name']} keeps samples of requests"


@promise
def firewall_stands_before_everything(stack: Stack) -> Iterator[str]:
    """The firewall is on the balancer, limits sign-ins, tokens and webhooks, and blocks what is known to be bad."""
    link = stack.one("AWS::WAFv2::WebACLAssociation")
    if (link.get("ResourceArn"), link.get("WebACLArn")) != ("<Balancer>", "<Wall.Arn>"):
        yield "the firewall is not on the balancer"
    rules = stack.one("AWS::WAFv2::WebACL").get("Rules", [])
    limits = [one for one in rules if "RateBasedStatement" in one["Statement"]]
    for rule in limits:
        if "Block" not in rule.get("Action", {}):
            yield f"{rule['Name']} only counts"
        rate = rule["Statement"]["RateBasedStatement"]
        if rate["Limit"] > HIGHEST_LIMIT or rate.get("EvaluationWindowSec", 300) < 300:
            yield f"{rule['Name']} stops nobody"
    for path in LIMITED:
        if not any(path in _paths(rule["Statement"]["RateBasedStatement"]) for rule in limits):
            yield f"{path} has no limit"
    if not any("ScopeDownStatement" not in rule["Statement"]["RateBasedStatement"] for rule in limits):
        yield "a flood of other requests has no limit"
    groups = {
        one["Statement"]["ManagedRuleGroupStatement"]["Name"]: one
        for one in rules
        if "ManagedRuleGroupStatement" in one["Statement"]
    }
    for name in ("AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesCommonRuleSet"):
        if groups.get(name, {}).get("OverrideAction") != {"None": {}}:
            yield f"{name} blocks nothing"


# Tasks


@promise
def tasks_run_in_two_zones_and_roll(stack: Stack) -> Iterator[str]:
    """Two or more tasks over two zones; a deployment that fails is rolled back, and the tables come first."""
    service = stack.one("AWS::ECS::Service")
    deployment = service.get("DeploymentConfiguration", {})
    if deployment.get("DeploymentCircuitBreaker") != {"Enable": True, "Rollback": True}:
        yield "a failed deployment is not rolled back"
    if int(deployment.get("MinimumHealthyPercent", 0)) < 100:
        yield "a deployment takes tasks away first"
    subnets = service.get("NetworkConfiguration", {}).get("AwsvpcConfiguration", {}).get("Subnets", [])
    if len(_zones(stack, subnets)) < 2:
        yield "tasks are in one zone"
    scale = stack.one("AWS::ApplicationAutoScaling::ScalableTarget")
    if int(scale.get("MinCapacity", 0)) < 2 or int(scale.get("MaxCapacity", 0)) < 2 * int(scale.get("MinCapacity", 0)):
        yield "there may be one task, or no more than at rest"
    if not stack.of("AWS::ApplicationAutoScaling::ScalingPolicy"):
        yield "nothing scales"
    served = stack.properties("Task").get("ContainerDefinitions", [])
    after = [one.get("DependsOn") for one in served if one["Name"] == "companion"]
    if after != [[{"ContainerName": "migrate", "Condition": "SUCCESS"}]]:
        yield "tasks serve before the tables are up to date"
    if stack.one("AWS::ElasticLoadBalancingV2::TargetGroup").get("HealthCheckPath") != "/healthz":
        yield "a failover of the database replaces every task"


@promise
def containers_are_hardened(stack: Stack) -> Iterator[str]:
    """Images by digest, read-only files, no capabilities; the console alone may write, for its session."""
    for name, container in _containers(stack):
        if not re.search(r"@sha256:[0-9a-f]{64}$", container["Image"]):
            yield f"{name} is not named by digest"
        if container.get("Privileged"):
            yield f"{name} is privileged"
        if name == "console":
            continue
        if container.get("ReadonlyRootFilesystem") is not True:
            yield f"{name} can write to its files"
        if container.get("LinuxParameters", {}).get("Capabilities") != {"Drop": ["ALL"]}:
            yield f"{name} has capabilities"
    for name in ("ImageDigest", "ConsoleImage"):
        pattern = stack.template["Parameters"].get(name, {}).get("AllowedPattern", "")
        for image in ("latest", "docker.io/library/postgres:17", "sha256:abc"):
            if re.fullmatch(pattern, image):
                yield f"{name} takes {image}"


@promise
def images_are_scanned_and_immutable(stack: Stack) -> Iterator[str]:
    """Images are scanned when they are pushed, cannot be replaced, and are encrypted by a key of our own."""
    repository = stack.one("AWS::ECR::Repository")
    if repository.get("ImageTagMutability") != "IMMUTABLE":
        yield "tags can be moved"
    if repository.get("ImageScanningConfiguration") != {"ScanOnPush": True}:
        yield "images are not scanned on push"
    if repository.get("EncryptionConfiguration") != {"EncryptionType": "KMS", "KmsKey": "<DataKey.Arn>"}:
        yield "images are not encrypted by a key of our own"


# Watching


@promise
def inspector_scans_everything(stack: Stack) -> Iterator[str]:
    """Amazon Inspector is on for images and the containers that run them, for functions and for hosts."""
    resources = stack.one("AWS::CloudFormation::CustomResource")
    if resources.get("ServiceToken") != "<InspectorFunction.Arn>":
        yield "nothing enables Inspector"
    for kind in ("ECR", "LAMBDA", "EC2"):
        if kind not in resources.get("ResourceTypes", []):
            yield f"Inspector does not scan {kind}"


@promise
def logs_are_encrypted_and_kept(stack: Stack) -> Iterator[str]:
    """Every log group is encrypted by a key of our own and kept for a year."""
    groups = stack.of("AWS::Logs::LogGroup")
    for name, group in groups.items():
        if group.get("KmsKeyId") != "<LogKey.Arn>":
            yield f"{name} is not encrypted by a key of our own"
        if int(group.get("RetentionInDays", 0)) < SHORTEST_RETENTION:
            yield f"{name} is kept for less than a year, or for ever"
    for name, container in _containers(stack):
        logged = container.get("LogConfiguration", {}).get("Options", {}).get("awslogs-group", "")
        if str(logged).strip("<>") not in groups:
            yield f"{name} logs elsewhere"
    for name, function in stack.of("AWS::Lambda::Function").items():
        if str(function.get("LoggingConfig", {}).get("LogGroup")).strip("<>") not in groups:
            yield f"{name} logs elsewhere"
    if stack.one("AWS::RDS::DBInstance").get("EnableCloudwatchLogsExports") != ["postgresql"]:
        yield "the database's log is lost"


@promise
def what_is_done_is_recorded(stack: Stack) -> Iterator[str]:
    """CloudTrail of all regions with validated, encrypted files; flow logs; GuardDuty."""
    trail = stack.one("AWS::CloudTrail::Trail")
    for name in ("IsLogging", "IsMultiRegionTrail", "IncludeGlobalServiceEvents", "EnableLogFileValidation"):
        if trail.get(name) is not True:
            yield f"CloudTrail: {name} is off"
    if trail.get("KMSKeyId") != "<LogKey.Arn>":
        yield "CloudTrail is not encrypted by a key of our own"
    flow = stack.one("AWS::EC2::FlowLog")
    if (flow.get("ResourceId"), flow.get("TrafficType")) != ("<Network>", "ALL"):
        yield "flows are not logged, or only some"
    if stack.one("AWS::GuardDuty::Detector").get("Enable") is not True:
        yield "GuardDuty is off"


@promise
def the_record_cannot_be_read_or_changed_by_others(stack: Stack) -> Iterator[str]:
    """The bucket of the trail is encrypted, versioned, never public, and never read in clear."""
    for name, bucket in stack.of("AWS::S3::Bucket").items():
        if (
            set(bucket.get("PublicAccessBlockConfiguration", {}).values()) != {True}
            or len(bucket["PublicAccessBlockConfiguration"]) < 4
        ):
            yield f"{name} can be made public"
        if bucket.get("VersioningConfiguration") != {"Status": "Enabled"}:
            yield f"files of {name} can be overwritten"
        if "aws:kms" not in str(bucket.get("BucketEncryption")):
            yield f"{name} is not encrypted by a key of our own"
        plain = [
            one for _, one in stack.policies() if one.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        ]
        if not any(one["Effect"] == "Deny" for one in plain):
            yield f"{name} can be read in clear"


@promise
def alarms_reach_somebody(stack: Stack) -> Iterator[str]:
    """Every alarm that the runbook names is there and goes to a person's address."""
    topic = stack.properties("Alarms")
    if [one.get("Protocol") for one in topic.get("Subscription", [])] != ["email"]:
        yield "alarms go to nobody"
    if topic.get("KmsMasterKeyId") != "<LogKey.Arn>":
        yield "alarms are not encrypted by a key of our own"
    alarms = stack.of("AWS::CloudWatch::Alarm")
    rules = stack.of("AWS::Events::Rule")
    for name in sorted(ALARMS ^ (set(alarms) | set(rules))):
        yield f"{name} is missing, or not in the list"
    for name, alarm in alarms.items():
        if alarm.get("AlarmActions") != ["<Alarms>"] or alarm.get("ActionsEnabled") is False:
            yield f"{name} goes to nobody"
    for name, rule in rules.items():
        if [one["Arn"] for one in rule.get("Targets", [])] != ["<Alarms>"] or rule.get("State") == "DISABLED":
            yield f"{name} goes to nobody"


@promise
def alarms_are_fed(stack: Stack) -> Iterator[str]:
    """Every alarm watches a figure that something writes; where silence would be an outage, it is one."""
    alarms = stack.of("AWS::CloudWatch::Alarm")
    for name in ("TooFewTasks", "AuditUnchecked"):
        if alarms.get(name, {}).get("TreatMissingData") != "breaching":
            yield f"{name} takes silence for health"
    fed = {
        one["MetricName"]
        for item in stack.of("AWS::Logs::MetricFilter").values()
        for one in item["MetricTransformations"]
    }
    for name, alarm in alarms.items():
        if alarm.get("Namespace") == "teslafi" and alarm.get("MetricName") not in fed:
            yield f"{name} watches a figure that nothing writes"


@promise
def findings_are_delivered(stack: Stack) -> Iterator[str]:
    """Findings reach the encrypted topic: EventBridge may publish to it and use its key, without conditions."""
    for name, action in (("LogKey", "kms:GenerateDataKey"), ("AlarmsPolicy", "sns:Publish")):
        allowed = [
            one
            for carrier, one in stack.policies()
            if carrier == name
            and "events.amazonaws.com" in as_list(one["Principal"].get("Service"))
            and action in as_list(one["Action"])
        ]
        if not any("Condition" not in one for one in allowed):
            yield f"{name}: findings are dropped, because EventBridge names no source"
    for rule in ("InspectorFinding", "GuardDutyFinding"):
        if not stack.properties(rule).get("EventPattern", {}).get("source"):
            yield f"{rule} waits for nothing"


@promise
def the_account_is_watched_in_every_region(stack: Stack) -> Iterator[str]:
    """Signing in, taking the role and touching a guard is seen wherever it happens, by the trail of all regions."""
    filters = stack.of("AWS::Logs::MetricFilter")
    for name, calls in GUARDS.items():
        item = filters.get(f"{name}Filter", {})
        for call in calls:
            if f'$.eventName = "{call}"' not in item.get("FilterPattern", ""):
                yield f"{name} does not hear of {call}"
        fed = [one["MetricName"] for one in item.get("MetricTransformations", [])]
        if item.get("LogGroupName") != "<TrailLogs>" or fed != [name]:
            yield f"{name} does not hear of other regions"
    trail = stack.one("AWS::CloudTrail::Trail")
    if trail.get("CloudWatchLogsLogGroupArn") != "<TrailLogs.Arn>":
        yield "the trail writes elsewhere"
    role = stack.properties("OperatorRole").get("RoleName")
    if f"role/{role}" not in filters.get("OperatorCameFilter", {}).get("FilterPattern", ""):
        yield "OperatorCame waits for another role"


@promise
def mail_is_encrypted(stack: Stack) -> Iterator[str]:
    """Mail leaves SES over TLS or not at all, signed, and nobody else can send in the domain's name."""
    if stack.one("AWS::SES::ConfigurationSet").get("DeliveryOptions", {}).get("TlsPolicy") != "REQUIRE":
        yield "SES sends in clear when it is told to"
    records = stack.one("AWS::Route53::RecordSetGroup").get("RecordSets", [])
    if [one["Type"] for one in records].count("CNAME") < 3:
        yield "mails are not signed"
    if not any("v=DMARC1; p=reject" in str(one["ResourceRecords"]) for one in records):
        yield "others may send in the domain's name"


FIELD: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "AWS with two-factor authentication for access",
        (
            "people_need_a_second_factor",
            "the_account_is_watched_in_every_region",
            "what_is_done_is_recorded",
            "alarms_reach_somebody",
        ),
    ),
    (
        "All data in an encrypted RDS database that is not publicly accessible",
        (
            "database_is_encrypted",
            "database_is_private",
            "database_takes_encrypted_connections_only",
            "database_is_backed_up",
        ),
    ),
    (
        "SSH keys for all servers, and IP restrictions to authorized developers",
        (
            "no_network_leads_in_for_people",
            "nothing_for_people_has_a_public_address",
            "people_come_from_a_listed_network",
            "people_may_little",
            "sessions_are_recorded",
            "ssh_comes_from_small_networks",
            "ssh_is_by_key",
        ),
    ),
    (
        "All servers routinely scanned by Amazon Inspector",
        ("inspector_scans_everything", "images_are_scanned_and_immutable", "findings_are_delivered"),
    ),
    (
        "Application servers reached only by HTTPS",
        ("visitors_come_by_https_only", "tasks_are_reached_encrypted_by_the_balancer"),
    ),
    ("Web application firewall", ("firewall_stands_before_everything",)),
    ("Rate limiting", ("firewall_stands_before_everything",)),
    ("Protection against denial of service", ("firewall_stands_before_everything", "tasks_run_in_two_zones_and_roll")),
)
"""The field's promises about hosting -> what keeps them here."""


def _trusted_people(stack: Stack) -> Iterator[tuple[str, Tree]]:
    """Give the trust statements whose principal is no service of AWS, with the role's name."""
    for name, role in stack.of("AWS::IAM::Role").items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            if set(statement["Principal"]) != {"Service"}:
                yield name, statement


def _principal(statement: Tree) -> Any:  # noqa: ANN401 - IAM's values
    principal = statement["Principal"]
    return principal.get("AWS", "") if isinstance(principal, dict) else principal


def _may(statement: Tree, action: str) -> bool:
    patterns = (re.escape(one).replace(r"\*", ".*") for one in as_list(statement.get("Action")))
    return any(re.fullmatch(one, action) for one in patterns)


def _all_ingress(stack: Stack) -> Iterator[tuple[str, Tree]]:
    for name, group in stack.of("AWS::EC2::SecurityGroup").items():
        yield from ((name, rule) for rule in group.get("SecurityGroupIngress", []))
    for rule in stack.of("AWS::EC2::SecurityGroupIngress").values():
        yield str(rule["GroupId"]).strip("<>"), rule


def _ingress(stack: Stack, group: str) -> list[Tree]:
    return [rule for name, rule in _all_ingress(stack) if name == group]


def _said(rule: Tree) -> str:
    source = rule.get("CidrIp", rule.get("CidrIpv6", rule.get("SourceSecurityGroupId")))
    return f"{source} on {rule.get('FromPort')} to {rule.get('ToPort')}"


def _zones(stack: Stack, subnets: list[str]) -> set[str]:
    return {stack.properties(one.strip("<>")).get("AvailabilityZone", "") for one in subnets}


def _containers(stack: Stack) -> Iterator[tuple[str, Tree]]:
    for task in stack.of("AWS::ECS::TaskDefinition").values():
        for container in task["ContainerDefinitions"]:
            yield container["Name"], container


def _environment(container: Tree) -> dict[str, Any]:
    return {one["Name"]: one["Value"] for one in container.get("Environment", [])}


def _attributes(stack: Stack) -> dict[str, str]:
    balancer = stack.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
    return {one["Key"]: one["Value"] for one in balancer.get("LoadBalancerAttributes", [])}


def _paths(statement: Tree) -> list[str]:
    """Return the beginnings of paths that a rate rule is for."""
    scope = statement.get("ScopeDownStatement", {})
    parts = scope.get("OrStatement", {}).get("Statements", [scope])
    return [one["ByteMatchStatement"]["SearchString"] for one in parts if "ByteMatchStatement" in one]
