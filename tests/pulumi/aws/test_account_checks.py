"""`stackwright doctor ENV`: what is asked of an account before the first `up`, and what is said of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from environments import ROOT
from test_cloud_status import Aws
from typer.testing import CliRunner

from stackwright.cli import app as cli
from stackwright.cli import doctor
from stackwright.infra.aws import account_checks, credentials
from stackwright.infra.aws.account_checks import AccountChecks, AccountFinding
from stackwright.infra.aws.aws_cli import AwsCliError
from stackwright.model.environment import load

SERVERS = ["ns-1.awsdns-01.com", "ns-2.awsdns-02.net"]
OWN = [{"Key": "stackwright:environment", "Value": "taaleem-staging"}]
LIMITS = {"L-1216C47A": 32.0, "L-0263D0A3": 5.0, "L-F678F1CE": 5.0}
WELL: Mapping[str, Any] = {
    "get-caller-identity": {"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:user/lena"},
    "get-hosted-zone": {
        "HostedZone": {"Id": "/hostedzone/Z0123456789ABCDEFGHIJ", "Name": "taaleem.example."},
        "DelegationSet": {"NameServers": SERVERS},
    },
    "get-parameters": {"Parameters": [], "InvalidParameters": []},
    "describe-instances": {"Reservations": []},
    "describe-addresses": {"Addresses": [{"PublicIp": "192.0.2.1", "Tags": OWN}]},
    "describe-vpcs": {"Vpcs": [{"VpcId": "vpc-1", "IsDefault": True}]},
    "get-service-quota": lambda options: {"Quota": {"Value": LIMITS[options[options.index("--quota-code") + 1]]}},
    "describe-load-balancers": {"LoadBalancers": [{"LoadBalancerName": "a"}]},
    "list-distributions": {"DistributionList": {"Items": [{"Id": "E1"}]}},
}


def findings(
    name: str = "taaleem-staging", *, dns: Sequence[str] = (f"{SERVERS[1]}.", f"{SERVERS[0]}."), **answers: Any
) -> dict[str, AccountFinding]:
    environment = load(ROOT / "inventories" / name)
    assert environment.stack.aws is not None
    assert environment.plan.aws is not None
    changed = {**copy.copy(WELL), **{key.replace("_", "-"): value for key, value in answers.items()}}
    checks = AccountChecks(
        environment=environment,
        aws=environment.stack.aws,
        plan=environment.plan.aws,
        ask=Aws(changed),
        name_servers=lambda zone: list(dns),
    )
    return {each.name: each for each in checks.findings()}


@pytest.mark.parametrize(
    ("name", "more"), [("taaleem-staging", []), ("taaleem-production", ["load balancers", "CloudFront"])]
)
def test_an_account_that_has_everything(name: str, more: list[str]) -> None:
    found = findings(name)
    assert list(found) == ["account", "hosted zone", "images", "vCPUs", "Elastic IPs", "VPCs", *more]
    assert [each.detail for each in found.values() if not each.ok] == []


def test_nothing_else_is_asked_of_the_wrong_account() -> None:
    found = findings(get_caller_identity={"Account": "444455556666"})
    assert [(each.name, each.ok, each.detail) for each in found.values()] == [
        ("account", False, "the credentials are of 444455556666; must be 111122223333: set AWS_PROFILE")
    ]


@pytest.mark.parametrize("dns", [[], ["ns1.registrar.example."]])
def test_a_zone_that_is_not_delegated(dns: list[str]) -> None:
    found = findings(dns=dns)["hosted zone"]
    known = "ns1.registrar.example" if dns else "no name server"
    assert not found.ok
    assert found.detail == (
        f"taaleem.example is not delegated: the Internet knows {known}; must be {', '.join(SERVERS)}:"
        " enter them where the domain is registered"
    )


def test_a_zone_of_another_name() -> None:
    zone = {"HostedZone": {"Id": "Z", "Name": "other.example."}, "DelegationSet": {"NameServers": SERVERS}}
    found = findings(get_hosted_zone=zone)["hosted zone"]
    assert not found.ok
    assert "Z0123456789ABCDEFGHIJ is other.example; must be taaleem.example" in found.detail


def test_an_image_that_the_region_does_not_have() -> None:
    name = "/aws/service/debian/release/13/latest/amd64"
    found = findings(get_parameters={"Parameters": [], "InvalidParameters": [name]})["images"]
    assert not found.ok
    assert f"eu-central-1 has no {name}" in found.detail


def test_a_quota_counts_what_others_use_and_not_what_is_the_environments_own() -> None:
    instance = {"CpuOptions": {"CoreCount": 4, "ThreadsPerCore": 2}}
    own = instance | {"Tags": OWN}
    used = findings(describe_instances={"Reservations": [{"Instances": [instance, own]}, {"Instances": [instance]}]})
    assert used["vCPUs"].ok
    assert used["vCPUs"].detail == "14 for this environment, 16 of others; the quota is 32"
    more = findings(describe_instances={"Reservations": [{"Instances": [instance] * 3}]})["vCPUs"]
    assert not more.ok
    assert more.detail == (
        "14 for this environment, 24 of others; the quota is 32: aws service-quotas request-service-quota-increase"
        " --service-code ec2 --quota-code L-1216C47A --desired-value 38"
    )


def test_addresses_and_networks() -> None:
    found = findings(
        describe_addresses={"Addresses": [{"PublicIp": f"192.0.2.{number}"} for number in range(4)]},
        describe_vpcs={"Vpcs": [{"VpcId": f"vpc-{number}"} for number in range(5)]},
    )
    assert found["Elastic IPs"].detail.startswith("2 for this environment, 4 of others; the quota is 5: aws ")
    assert found["VPCs"].detail.startswith("1 for this environment, 5 of others; the quota is 5: aws ")


def test_what_aws_may_keep_from_new_accounts_is_said_before() -> None:
    found = findings(
        "taaleem-production",
        describe_load_balancers={"LoadBalancers": []},
        list_distributions={"DistributionList": {"Quantity": 0}},
    )
    assert (found["load balancers"].ok, found["CloudFront"].ok) == (None, None)
    assert "Your account must be verified before you can add new CloudFront resources" in found["CloudFront"].detail
    assert "Ask AWS Support before, which takes days" in found["CloudFront"].detail


def test_a_refusal_hides_nothing_else() -> None:
    refused = AwsCliError("`aws ssm get-parameters` failed: AccessDenied", "AccessDenied")
    found = findings(get_parameters=refused)
    assert found["images"].detail == f"cannot be asked: {refused}"
    assert [each.name for each in found.values() if not each.ok] == ["images"]


def test_without_dig_the_zone_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FileNotFoundError):
        account_checks.name_servers("taaleem.example")


@pytest.mark.parametrize(("ok", "code", "sign"), [(True, 0, "ok"), (None, 0, "?"), (False, 1, "NO")])
def test_the_command_prints_the_account_as_well(
    monkeypatch: pytest.MonkeyPatch, ok: bool | None, code: int, sign: str
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(doctor, "examine", list)
    monkeypatch.setattr(credentials, "require", lambda environment: None)
    finding = AccountFinding(name="account", ok=ok, detail="what is there")
    monkeypatch.setattr(AccountChecks, "findings", lambda self: iter([finding]))
    done = CliRunner().invoke(cli.app, ["doctor", "taaleem-staging"])
    assert done.exit_code == code, done.output
    assert done.output.split() == [sign, "account", "what", "is", "there"]
