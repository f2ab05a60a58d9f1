"""The template keeps its promises, and each promise notices what would break it."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
import re
from typing import Any, Final, NamedTuple

import pytest

from . import promises
from .promises import FIELD, PROMISES
from .stack import EVERYTHING, SMALLEST, TEMPLATE, Stack, Tree, read_template

type Change = Callable[[Tree], None]

WORLD: Final = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}
ANYTHING: Final = {"Effect": "Allow", "Action": "*", "Resource": "*"}
PEOPLE: Final = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}
            ]
        }
    },
}


def _place(template: Tree, path: str) -> tuple[Any, Any]:
    """Return what holds the last step of a path, and that step: `Database.StorageEncrypted`, `Wall.Rules.0.Action`.

    A path begins with a resource, whose properties it goes on with, or with a section of the template after a slash.
    """
    if path.startswith("/"):
        node: Any = template
        steps: list[str] = path.removeprefix("/").split("/")
    else:
        name, *steps = path.split(".")
        node = template["Resources"][name]["Properties"]
    for step in steps[:-1]:
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node, int(steps[-1]) if isinstance(node, list) else steps[-1]


def put(path: str, value: object) -> Change:
    """Give a value another one."""

    def change(template: Tree) -> None:
        node, step = _place(template, path)
        assert isinstance(node, list) or step in node or "/" in path or value is not None
        node[step] = deepcopy(value)

    return change


def drop(path: str) -> Change:
    """Leave something out."""

    def change(template: Tree) -> None:
        node, step = _place(template, path)
        del node[step]

    return change


def add(path: str, value: object) -> Change:
    """Add something to a list."""

    def change(template: Tree) -> None:
        node, step = _place(template, path)
        node[step].append(deepcopy(value))

    return change


def new(name: str, resource: object) -> Change:
    """Add a resource."""

    def change(template: Tree) -> None:
        template["Resources"][name] = deepcopy(resource)

    return change


class Mutant(NamedTuple):
    """A template that breaks one promise."""

    name: str
    caught_by: promises.Promise
    change: Change


_SERVE: Final = "Task.ContainerDefinitions.1"
MUTANTS: Final = (
    # Database
    Mutant("database unencrypted", promises.database_is_encrypted, put("Database.StorageEncrypted", False)),
    Mutant("database under AWS's key", promises.database_is_encrypted, drop("Database.KmsKeyId")),
    Mutant("insights under AWS's key", promises.database_is_encrypted, drop("Database.PerformanceInsightsKMSKeyId")),
    Mutant("password under AWS's key", promises.database_is_encrypted, drop("Database.MasterUserSecret")),
    Mutant("no insights", promises.database_is_encrypted, put("Database.EnablePerformanceInsights", False)),
    Mutant("database public", promises.database_is_private, put("Database.PubliclyAccessible", True)),
    Mutant("database maybe public", promises.database_is_private, drop("Database.PubliclyAccessible")),
    Mutant(
        "database in public subnets",
        promises.database_is_private,
        put("DatabaseSubnets.SubnetIds", [{"Ref": "PublicOne"}, {"Ref": "PublicTwo"}]),
    ),
    Mutant(
        "isolated subnets with a way out",
        promises.database_is_private,
        new(
            "Way",
            {
                "Type": "AWS::EC2::Route",
                "Properties": {"RouteTableId": {"Ref": "IsolatedRoutes"}, "DestinationCidrBlock": "0.0.0.0/0"},
            },
        ),
    ),
    Mutant(
        "database port open to the world",
        promises.database_is_private,
        add("DatabaseAccess.SecurityGroupIngress", {**WORLD, "FromPort": 5432, "ToPort": 5432}),
    ),
    Mutant(
        "database port open to the world by a rule of its own",
        promises.database_is_private,
        new(
            "Hole",
            {
                "Type": "AWS::EC2::SecurityGroupIngress",
                "Properties": {**WORLD, "FromPort": 5432, "ToPort": 5432, "GroupId": {"Ref": "DatabaseAccess"}},
            },
        ),
    ),
    Mutant(
        "every port of the database",
        promises.database_is_private,
        put("DatabaseAccess.SecurityGroupIngress.0.FromPort", 0),
    ),
    Mutant("database in the default group", promises.database_is_private, drop("Database.VPCSecurityGroups")),
    Mutant("database in one zone", promises.database_lives_in_two_zones, put("Database.MultiAZ", False)),
    Mutant(
        "both subnets in one zone",
        promises.database_lives_in_two_zones,
        put("IsolatedTwo.AvailabilityZone", {"Fn::Select": [0, {"Fn::GetAZs": ""}]}),
    ),
    Mutant(
        "database takes plain connections",
        promises.database_takes_encrypted_connections_only,
        put("DatabaseParameters.Parameters", {"rds.force_ssl": "0"}),
    ),
    Mutant(
        "database without its parameters",
        promises.database_takes_encrypted_connections_only,
        drop("Database.DBParameterGroupName"),
    ),
    Mutant(
        "database's certificate unchecked",
        promises.database_takes_encrypted_connections_only,
        put(f"{_SERVE}.Environment.0.Value", "postgresql://companion@database/companion?sslmode=require"),
    ),
    Mutant("backups of a day", promises.database_is_backed_up, put("Database.BackupRetentionPeriod", 1)),
    Mutant("no deletion protection", promises.database_is_backed_up, put("Database.DeletionProtection", False)),
    Mutant("backups go with the database", promises.database_is_backed_up, drop("Database.DeleteAutomatedBackups")),
    Mutant("no last snapshot", promises.database_is_backed_up, put("/Resources/Database/DeletionPolicy", "Delete")),
    Mutant(
        "values in the database's log",
        promises.logged_statements_hold_no_values,
        put("DatabaseParameters.Parameters", {"rds.force_ssl": "1", "log_statement": "all"}),
    ),
    # Secrets and keys
    Mutant(
        "password in the template",
        promises.passwords_change_by_themselves,
        put("Database.MasterUserPassword", "secret"),
    ),
    Mutant("password for ever", promises.passwords_change_by_themselves, drop("Database.ManageMasterUserPassword")),
    Mutant("mail password for ever", promises.passwords_change_by_themselves, drop("/Resources/MailRotation")),
    Mutant(
        "mail password for a year",
        promises.passwords_change_by_themselves,
        put("MailRotation.RotationRules.AutomaticallyAfterDays", 365),
    ),
    Mutant("secret under AWS's key", promises.passwords_change_by_themselves, drop("MailSecret.KmsKeyId")),
    Mutant(
        "secret in the template", promises.passwords_change_by_themselves, put("ChargebeeSecret.SecretString", "{}")
    ),
    Mutant(
        "password in the environment",
        promises.passwords_change_by_themselves,
        add(f"{_SERVE}.Environment", {"Name": "TESLAFI_COMPANION_SMTP_PASSWORD", "Value": "secret"}),
    ),
    Mutant(
        "password in the database's address",
        promises.passwords_change_by_themselves,
        put(f"{_SERVE}.Environment.0.Value", "postgresql://companion:secret@database/companion?sslmode=verify-full"),
    ),
    Mutant(
        "secret out of a parameter",
        promises.passwords_change_by_themselves,
        put(f"{_SERVE}.Secrets.0.ValueFrom", "arn:aws:ssm:eu-central-1:123456789012:parameter/smtp"),
    ),
    Mutant("key for ever", promises.keys_rotate_and_stay, put("DataKey.EnableKeyRotation", False)),
    Mutant(
        "key goes with the stack", promises.keys_rotate_and_stay, put("/Resources/FieldKey/DeletionPolicy", "Delete")
    ),
    Mutant(
        "key for the whole account",
        promises.keys_rotate_and_stay,
        add(
            "DataKey.KeyPolicy.Statement",
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*"},
        ),
    ),
    Mutant(
        "field key without its context",
        promises.field_key_opens_for_the_companion_only,
        drop("FieldKey.KeyPolicy.Statement.1.Condition"),
    ),
    Mutant(
        "field key for the operator",
        promises.field_key_opens_for_the_companion_only,
        put("FieldKey.KeyPolicy.Statement.1.Principal", {"AWS": {"Fn::GetAtt": ["OperatorRole", "Arn"]}}),
    ),
    Mutant(
        "administrators use the field key",
        promises.field_key_opens_for_the_companion_only,
        add("FieldKey.KeyPolicy.Statement.0.Action", "kms:*"),
    ),
    Mutant(
        "key in the environment",
        promises.field_key_opens_for_the_companion_only,
        put(f"{_SERVE}.Environment.6.Value", "env"),
    ),
    # Ways in for people
    Mutant("SSH from anywhere", promises.no_network_leads_in_for_people, add("TaskAccess.SecurityGroupIngress", WORLD)),
    Mutant(
        "every port from anywhere",
        promises.no_network_leads_in_for_people,
        add("BalancerAccess.SecurityGroupIngress", {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}),
    ),
    Mutant(
        "every port from anywhere by IPv6",
        promises.no_network_leads_in_for_people,
        add("BalancerAccess.SecurityGroupIngress", {"IpProtocol": "-1", "CidrIpv6": "::/0"}),
    ),
    Mutant(
        "SSH from an office",
        promises.no_network_leads_in_for_people,
        add("TaskAccess.SecurityGroupIngress", {**WORLD, "CidrIp": "203.0.113.7/32"}),
    ),
    Mutant(
        "a bastion",
        promises.nothing_for_people_has_a_public_address,
        new("Bastion", {"Type": "AWS::EC2::Instance", "Properties": {"ImageId": "ami-1"}}),
    ),
    Mutant(
        "serving tasks can be entered",
        promises.nothing_for_people_has_a_public_address,
        put("Service.EnableExecuteCommand", True),
    ),
    Mutant(
        "tasks with public addresses",
        promises.nothing_for_people_has_a_public_address,
        put("Service.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp", "ENABLED"),
    ),
    Mutant(
        "subnet gives public addresses",
        promises.nothing_for_people_has_a_public_address,
        put("PublicOne.MapPublicIpOnLaunch", True),
    ),
    Mutant(
        "SSH parameter takes anything",
        promises.ssh_comes_from_small_networks,
        put("/Parameters/SshNetwork/AllowedPattern", ".*"),
    ),
    Mutant(
        "SSH parameter takes /24",
        promises.ssh_comes_from_small_networks,
        put("/Parameters/SshNetworkTwo/AllowedPattern", r"^(\d+\.){3}\d+/(2\d|3[0-2])$"),
    ),
    Mutant(
        "SSH by password",
        promises.ssh_is_by_key,
        put("SshHost.LaunchTemplateData.UserData", "#!/bin/sh\n"),
    ),
    Mutant("SSH without key", promises.ssh_is_by_key, drop("SshHost.LaunchTemplateData.KeyName")),
    Mutant(
        "IMDSv1",
        promises.ssh_is_by_key,
        put("SshHost.LaunchTemplateData.MetadataOptions.HttpTokens", "optional"),
    ),
    Mutant(
        "disk in clear",
        promises.ssh_is_by_key,
        put("SshHost.LaunchTemplateData.BlockDeviceMappings.0.Ebs.Encrypted", False),
    ),
    Mutant(
        "operator without MFA",
        promises.people_need_a_second_factor,
        drop("OperatorRole.AssumeRolePolicyDocument.Statement.0.Condition.Bool"),
    ),
    Mutant(
        "operator with MFA of last week",
        promises.people_need_a_second_factor,
        drop("OperatorRole.AssumeRolePolicyDocument.Statement.0.Condition.NumericLessThan"),
    ),
    Mutant(
        "operator from anywhere",
        promises.people_come_from_a_listed_network,
        drop("OperatorRole.AssumeRolePolicyDocument.Statement.0.Condition.IpAddress"),
    ),
    Mutant(
        "developers' networks take the world",
        promises.people_come_from_a_listed_network,
        put("/Parameters/DeveloperNetworks/AllowedPattern", r"^[0-9./]+$"),
    ),
    Mutant(
        "stolen session works elsewhere",
        promises.people_come_from_a_listed_network,
        drop("OperatorPolicy.PolicyDocument.Statement.0"),
    ),
    Mutant(
        "a second role for people",
        promises.people_need_a_second_factor,
        new("Backdoor", PEOPLE),
    ),
    Mutant(
        "sessions of a day",
        promises.people_need_a_second_factor,
        put("OperatorRole.MaxSessionDuration", 43200),
    ),
    Mutant(
        "developers without second factor",
        promises.people_need_a_second_factor,
        drop("Developers.Policies.0.PolicyDocument.Statement.2"),
    ),
    Mutant(
        "operator of another account",
        promises.people_need_a_second_factor,
        put("OperatorRole.AssumeRolePolicyDocument.Statement.0.Principal", {"AWS": "arn:aws:iam::999999999999:root"}),
    ),
    Mutant(
        "a second factor for nothing",
        promises.people_need_a_second_factor,
        put("Developers.Policies.0.PolicyDocument.Statement.2.NotAction", ["*"]),
    ),
    Mutant(
        "a stolen password enrolls its own second factor",
        promises.people_need_a_second_factor,
        add("Developers.Policies.0.PolicyDocument.Statement.2.NotAction", "iam:EnableMFADevice"),
    ),
    Mutant(
        "a stolen password makes a second factor",
        promises.people_need_a_second_factor,
        add("Developers.Policies.0.PolicyDocument.Statement.2.NotAction", "iam:CreateVirtualMFADevice"),
    ),
    Mutant(
        "a stolen password is changed",
        promises.people_need_a_second_factor,
        add("Developers.Policies.0.PolicyDocument.Statement.2.NotAction", "iam:ChangePassword"),
    ),
    Mutant(
        "stolen session works elsewhere, mostly",
        promises.people_come_from_a_listed_network,
        put("OperatorPolicy.PolicyDocument.Statement.0.Condition.Bool", {"aws:ViaAWSService": "true"}),
    ),
    Mutant(
        "operator may change who may be it",
        promises.people_may_little,
        add(
            "OperatorPolicy.PolicyDocument.Statement",
            {"Effect": "Allow", "Action": "iam:UpdateAssumeRolePolicy", "Resource": {"Fn::GetAtt": "OperatorRole.Arn"}},
        ),
    ),
    Mutant(
        "developers read a secret",
        promises.people_may_little,
        add(
            "Developers.Policies.0.PolicyDocument.Statement",
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": {"Ref": "MailSecret"}},
        ),
    ),
    Mutant(
        "developers may more by a policy beside",
        promises.people_may_little,
        new(
            "Beside",
            {
                "Type": "AWS::IAM::Policy",
                "Properties": {
                    "Groups": [{"Ref": "Developers"}],
                    "PolicyDocument": {
                        "Statement": [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:x"}]
                    },
                },
            },
        ),
    ),
    Mutant("a user with a key", promises.people_may_little, new("Robot", {"Type": "AWS::IAM::User", "Properties": {}})),
    Mutant(
        "sessions unrecorded",
        promises.sessions_are_recorded,
        put("Cluster.Configuration.ExecuteCommandConfiguration.Logging", "NONE"),
    ),
    Mutant(
        "any container can be entered",
        promises.sessions_are_recorded,
        drop("OperatorPolicy.PolicyDocument.Statement.3.Condition"),
    ),
    Mutant(
        "tasks may enter tasks",
        promises.sessions_are_recorded,
        add("TaskPolicy.PolicyDocument.Statement", {"Effect": "Allow", "Action": "ecs:Execute*", "Resource": "arn:x"}),
    ),
    Mutant(
        "a console for a day",
        promises.console_ends,
        put("ConsoleTask.ContainerDefinitions.0.Command.0", "exec sleep 86400"),
    ),
    Mutant(
        "a console for ever",
        promises.console_ends,
        put("ConsoleTask.ContainerDefinitions.0.Command.0", "exec sleep infinity"),
    ),
    Mutant(
        "a console for hour after hour",
        promises.console_ends,
        put("ConsoleTask.ContainerDefinitions.0.Command.0", "while true; do sleep 3600; done; exec sleep 3600"),
    ),
    Mutant(
        "a console that starts something else",
        promises.console_ends,
        put("ConsoleTask.ContainerDefinitions.0.EntryPoint", ["tail", "-f", "/dev/null"]),
    ),
    # Rights
    Mutant(
        "everything is allowed",
        promises.no_wildcard_action_on_a_wildcard_resource,
        add("OperatorPolicy.PolicyDocument.Statement", ANYTHING),
    ),
    Mutant(
        "a service is allowed",
        promises.no_wildcard_action_on_a_wildcard_resource,
        add("InspectorRole.Policies.0.PolicyDocument.Statement", {**ANYTHING, "Action": "inspector2:*"}),
    ),
    Mutant(
        "an action on everything",
        promises.no_wildcard_action_on_a_wildcard_resource,
        put("MailRotationRole.Policies.0.PolicyDocument.Statement.0.Resource", "*"),
    ),
    Mutant(
        "everything but something",
        promises.no_wildcard_action_on_a_wildcard_resource,
        add(
            "TaskPolicy.PolicyDocument.Statement",
            {"Effect": "Allow", "NotAction": "iam:CreateUser", "Resource": "arn:x"},
        ),
    ),
    Mutant(
        "starting tasks reads every secret",
        promises.rights_name_people_and_secrets,
        put("ExecutionRole.Policies.0.PolicyDocument.Statement.3.Resource", "arn:aws:secretsmanager:::secret:*"),
    ),
    Mutant(
        "a key for everybody",
        promises.rights_name_people_and_secrets,
        put("LogKey.KeyPolicy.Statement.1.Principal", "*"),
    ),
    Mutant(
        "images by everybody",
        promises.rights_name_people_and_secrets,
        put(
            "Repository.RepositoryPolicyText",
            {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["ecr:PutImage"]}]},
        ),
    ),
    Mutant(
        "a function at an address",
        promises.rights_name_people_and_secrets,
        new("Open", {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE"}}),
    ),
    Mutant(
        "tasks reach everything",
        promises.ways_out_are_few,
        add("TaskAccess.SecurityGroupEgress", {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}),
    ),
    Mutant("no rule for ways out", promises.ways_out_are_few, put("DatabaseAccess.SecurityGroupEgress", [])),
    Mutant(
        "administrators' policy",
        promises.no_wildcard_action_on_a_wildcard_resource,
        put("TaskRole.ManagedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]),
    ),
    Mutant(
        "tasks read every secret",
        promises.tasks_may_little,
        put(
            "TaskPolicy.PolicyDocument.Statement.0.Resource",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x",
        ),
    ),
    Mutant(
        "tasks change the database",
        promises.tasks_may_little,
        add(
            "TaskPolicy.PolicyDocument.Statement",
            {"Effect": "Allow", "Action": "rds:ModifyDBInstance", "Resource": "arn:x"},
        ),
    ),
    Mutant(
        "mail in any name",
        promises.tasks_may_little,
        drop("MailUser.Policies.0.PolicyDocument.Statement.0.Condition"),
    ),
    # What the world sees
    Mutant(
        "plain HTTP",
        promises.visitors_come_by_https_only,
        put("HttpListener.DefaultActions", [{"Type": "forward", "TargetGroupArn": {"Ref": "Tasks"}}]),
    ),
    Mutant(
        "old TLS", promises.visitors_come_by_https_only, put("HttpsListener.SslPolicy", "ELBSecurityPolicy-2016-08")
    ),
    Mutant("no HSTS", promises.visitors_come_by_https_only, drop("HttpsListener.ListenerAttributes.0")),
    Mutant(
        "plain HTTP to the tasks", promises.tasks_are_reached_encrypted_by_the_balancer, put("Tasks.Protocol", "HTTP")
    ),
    Mutant(
        "tasks reached past the balancer",
        promises.tasks_are_reached_encrypted_by_the_balancer,
        put("TaskAccess.SecurityGroupIngress.0", {**WORLD, "FromPort": 8443, "ToPort": 8443, "CidrIp": "10.60.0.0/16"}),
    ),
    Mutant(
        "smuggled requests",
        promises.tasks_are_reached_encrypted_by_the_balancer,
        put("Balancer.LoadBalancerAttributes.1.Value", "monitor"),
    ),
    Mutant(
        "codes in the balancer's log",
        promises.codes_stay_out_of_logs,
        add("Balancer.LoadBalancerAttributes", {"Key": "access_logs.s3.enabled", "Value": "true"}),
    ),
    Mutant("codes in the firewall's log", promises.codes_stay_out_of_logs, drop("WallLogging.RedactedFields.0")),
    Mutant("tokens in the firewall's log", promises.codes_stay_out_of_logs, drop("WallLogging.RedactedFields.1")),
    Mutant(
        "samples of requests",
        promises.codes_stay_out_of_logs,
        put("Wall.Rules.0.VisibilityConfig.SampledRequestsEnabled", True),
    ),
    Mutant("firewall on nothing", promises.firewall_stands_before_everything, drop("/Resources/WallOfBalancer")),
    Mutant("sign-ins without limit", promises.firewall_stands_before_everything, drop("Wall.Rules.0")),
    Mutant("tokens without limit", promises.firewall_stands_before_everything, drop("Wall.Rules.1")),
    Mutant("webhooks without limit", promises.firewall_stands_before_everything, drop("Wall.Rules.2")),
    Mutant("floods without limit", promises.firewall_stands_before_everything, drop("Wall.Rules.3")),
    Mutant(
        "a limit that nobody reaches",
        promises.firewall_stands_before_everything,
        put("Wall.Rules.0.Statement.RateBasedStatement.Limit", 2_000_000),
    ),
    Mutant(
        "limits that only count", promises.firewall_stands_before_everything, put("Wall.Rules.0.Action", {"Count": {}})
    ),
    Mutant(
        "rules that only count",
        promises.firewall_stands_before_everything,
        put("Wall.Rules.4.OverrideAction", {"Count": {}}),
    ),
    # Tasks
    Mutant(
        "no rollback",
        promises.tasks_run_in_two_zones_and_roll,
        put("Service.DeploymentConfiguration.DeploymentCircuitBreaker.Rollback", False),
    ),
    Mutant(
        "tasks taken away first",
        promises.tasks_run_in_two_zones_and_roll,
        put("Service.DeploymentConfiguration.MinimumHealthyPercent", 0),
    ),
    Mutant("one task", promises.tasks_run_in_two_zones_and_roll, put("/Mappings/Sizes/small/Tasks", 1)),
    Mutant(
        "tasks in one zone",
        promises.tasks_run_in_two_zones_and_roll,
        drop("Service.NetworkConfiguration.AwsvpcConfiguration.Subnets.1"),
    ),
    Mutant("tables never up to date", promises.tasks_run_in_two_zones_and_roll, drop(f"{_SERVE}.DependsOn")),
    Mutant(
        "a failover replaces all tasks",
        promises.tasks_run_in_two_zones_and_roll,
        put("Tasks.HealthCheckPath", "/readyz"),
    ),
    Mutant("image by tag", promises.containers_are_hardened, put(f"{_SERVE}.Image", "teslafi-companion:latest")),
    Mutant(
        "image parameter takes a tag",
        promises.containers_are_hardened,
        put("/Parameters/ConsoleImage/AllowedPattern", ".*"),
    ),
    Mutant("files can be written", promises.containers_are_hardened, put(f"{_SERVE}.ReadonlyRootFilesystem", False)),
    Mutant("capabilities", promises.containers_are_hardened, drop(f"{_SERVE}.LinuxParameters.Capabilities")),
    Mutant("privileged", promises.containers_are_hardened, put(f"{_SERVE}.Privileged", True)),
    Mutant("mutable tags", promises.images_are_scanned_and_immutable, put("Repository.ImageTagMutability", "MUTABLE")),
    Mutant(
        "images unscanned",
        promises.images_are_scanned_and_immutable,
        put("Repository.ImageScanningConfiguration.ScanOnPush", False),
    ),
    Mutant(
        "images under AWS's key", promises.images_are_scanned_and_immutable, drop("Repository.EncryptionConfiguration")
    ),
    # Watching
    Mutant("no Inspector", promises.inspector_scans_everything, drop("/Resources/Inspector")),
    Mutant(
        "Inspector without images",
        promises.inspector_scans_everything,
        put("Inspector.ResourceTypes", ["EC2", "LAMBDA"]),
    ),
    Mutant("log group without key", promises.logs_are_encrypted_and_kept, drop("CompanionLogs.KmsKeyId")),
    Mutant("log group for ever", promises.logs_are_encrypted_and_kept, drop("SessionLogs.RetentionInDays")),
    Mutant("log group for a week", promises.logs_are_encrypted_and_kept, put("WallLogs.RetentionInDays", 7)),
    Mutant("database's log lost", promises.logs_are_encrypted_and_kept, drop("Database.EnableCloudwatchLogsExports")),
    Mutant("trail without proof", promises.what_is_done_is_recorded, put("Trail.EnableLogFileValidation", False)),
    Mutant("trail of one region", promises.what_is_done_is_recorded, put("Trail.IsMultiRegionTrail", False)),
    Mutant("trail under AWS's key", promises.what_is_done_is_recorded, drop("Trail.KMSKeyId")),
    Mutant(
        "trail public",
        promises.the_record_cannot_be_read_or_changed_by_others,
        put("TrailBucket.PublicAccessBlockConfiguration.BlockPublicPolicy", False),
    ),
    Mutant(
        "trail in clear",
        promises.the_record_cannot_be_read_or_changed_by_others,
        drop("TrailBucketPolicy.PolicyDocument.Statement.0"),
    ),
    Mutant("flows unlogged", promises.what_is_done_is_recorded, drop("/Resources/Flow")),
    Mutant("only refused flows", promises.what_is_done_is_recorded, put("Flow.TrafficType", "REJECT")),
    Mutant("no GuardDuty", promises.what_is_done_is_recorded, put("Detector.Enable", False)),
    Mutant("alarm for nobody", promises.alarms_reach_somebody, drop("ServerErrors.AlarmActions")),
    Mutant("alarms to nobody", promises.alarms_reach_somebody, put("Alarms.Subscription", [])),
    Mutant("no alarm for storage", promises.alarms_reach_somebody, drop("/Resources/DatabaseStorage")),
    Mutant("findings to nobody", promises.alarms_reach_somebody, put("InspectorFinding.Targets", [])),
    Mutant("silence is health", promises.alarms_are_fed, put("AuditUnchecked.TreatMissingData", "notBreaching")),
    Mutant("alarm on nothing", promises.alarms_are_fed, drop("/Resources/AuditBrokenFilter")),
    Mutant(
        "findings dropped by the key",
        promises.findings_are_delivered,
        put("LogKey.KeyPolicy.Statement.4.Condition", {"StringEquals": {"aws:SourceAccount": "123456789012"}}),
    ),
    Mutant(
        "findings dropped by the topic",
        promises.findings_are_delivered,
        drop("AlarmsPolicy.PolicyDocument.Statement.1"),
    ),
    Mutant("waiting for no finding", promises.findings_are_delivered, drop("InspectorFinding.EventPattern.source")),
    Mutant(
        "operator seen in one log only",
        promises.the_account_is_watched_in_every_region,
        put("OperatorCameFilter.LogGroupName", {"Ref": "CompanionLogs"}),
    ),
    Mutant(
        "another role watched",
        promises.the_account_is_watched_in_every_region,
        put("OperatorRole.RoleName", "elsewhere"),
    ),
    Mutant(
        "sign-ins unwatched",
        promises.the_account_is_watched_in_every_region,
        drop("/Resources/SignInWithoutSecondFactorFilter"),
    ),
    Mutant(
        "guards unwatched",
        promises.the_account_is_watched_in_every_region,
        put("GuardsChangedFilter.FilterPattern", '{ $.eventName = "StopLogging" }'),
    ),
    Mutant(
        "trail without log group",
        promises.the_account_is_watched_in_every_region,
        drop("Trail.CloudWatchLogsLogGroupArn"),
    ),
    Mutant("mail in clear", promises.mail_is_encrypted, put("MailRules.DeliveryOptions.TlsPolicy", "OPTIONAL")),
    Mutant("mail in our name", promises.mail_is_encrypted, drop("MailRecords.RecordSets.3")),
)


@cache
def _template() -> Tree:
    return read_template()


@pytest.mark.parametrize("name", PROMISES)
@pytest.mark.parametrize("parameters", [SMALLEST, EVERYTHING], ids=["smallest", "everything"])
def test_the_promise_is_kept(name: str, parameters: Tree) -> None:
    assert list(PROMISES[name](Stack(_template(), parameters))) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_mutant_is_caught(mutant: Mutant) -> None:
    template = deepcopy(_template())
    mutant.change(template)
    assert template != _template()
    assert any(list(mutant.caught_by(Stack(template, parameters))) for parameters in (EVERYTHING, SMALLEST))


def test_every_promise_has_a_mutant() -> None:
    assert {mutant.caught_by.__name__ for mutant in MUTANTS} == set(PROMISES)


def test_every_promise_of_the_field_is_kept_by_something() -> None:
    for said, keepers in FIELD:
        assert keepers, said
        assert set(keepers) <= set(PROMISES), said


def test_the_template_needs_no_generator() -> None:
    """CloudFormation takes neither YAML's anchors nor templates over a megabyte."""
    text = TEMPLATE.read_text("utf-8")
    assert not re.search(r"(?m)^[^#'\"]*[:-] [&*][a-zA-Z]", text)
    assert "Transform" not in _template()
    assert TEMPLATE.stat().st_size < 1_000_000


@pytest.mark.parametrize("parameters", [SMALLEST, EVERYTHING], ids=["smallest", "everything"])
def test_nothing_refers_to_what_is_not_made(parameters: Tree) -> None:
    stack = Stack(_template(), parameters)
    made = set(stack.resources)
    mentioned = set(re.findall(r"<([A-Za-z]+)(?:\.[A-Za-z.0-9]+)?>", str(stack.resources)))
    assert mentioned <= made


def test_every_parameter_is_explained() -> None:
    grouped = {
        name
        for group in _template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    }
    assert grouped == set(_template()["Parameters"])
    assert all(item.get("Description") for item in _template()["Parameters"].values())


def test_the_path_of_the_template_is_the_documented_one() -> None:
    assert Path("hosting/aws/companion.yaml") == TEMPLATE.relative_to(Path(__file__).parents[2])
