"""Certificates without an engine: every resource with all of its inputs, and what ACM would refuse."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer
from pulumi.runtime import rpc

from stackwright.infra.aws.certificate import Certificate, CertificateArgs
from stackwright.testing.recording import Properties, Recording, record

ZONE = "Z0123456789ABCDEFGHIJ"
CERTIFICATE = "aws:acm/certificate:Certificate"
VALIDATION = "aws:acm/certificateValidation:CertificateValidation"
RECORD = "aws:route53/record:Record"
NAMES = ["clinic.example.org", "*.clinic.example.org", "www.example.org"]
PROVEN = ["clinic.example.org", "www.example.org"]


def options(inputs: Properties) -> list[Properties]:
    """As ACM answers: one for each name, a wildcard's the same as its parent's, in an order of its own."""
    names = [inputs["domainName"], *inputs.get("subjectAlternativeNames", [])]
    return [
        {
            "domainName": name,
            "resourceRecordName": f"_x.{name.removeprefix('*.')}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_y-{name.removeprefix('*.')}.acm-validations.aws.",
        }
        for name in sorted(names, reverse=True)
    ]


def arn(inputs: Properties) -> str:
    return f"arn:aws:acm:{inputs.get('region', REGION)}:{ACCOUNT}:certificate/1"


COMPUTED = {
    CERTIFICATE: lambda inputs: {"arn": arn(inputs), "domainValidationOptions": options(inputs)},
    RECORD: lambda inputs: {"fqdn": inputs["name"].removesuffix(".")},
}


def args(**more: Any) -> CertificateArgs:
    fixed: dict[str, Any] = {"context": context(), "names": NAMES, "hosted_zone_id": ZONE}
    return CertificateArgs(**(fixed | more))


def run(**more: Any) -> Recording:
    return record(lambda: _program(**more), stack="test", computed=COMPUTED)


def _program(**more: Any) -> None:
    Certificate("certificate", args(**more))


def certificate(**more: Any) -> dict[tuple[str, str], Properties]:
    return {
        (CERTIFICATE, "certificate-certificate"): {
            "domainName": NAMES[0],
            "subjectAlternativeNames": NAMES[1:],
            "validationMethod": "DNS",
            "keyAlgorithm": "EC_prime256v1",
            "tags": tags(f"test-{NAMES[0]}"),
            **more,
        }
    }


def proof(domain: str) -> dict[tuple[str, str], Properties]:
    return {
        (RECORD, f"certificate-validation-{domain}"): {
            "zoneId": ZONE,
            "name": f"_x.{domain}.",
            "type": "CNAME",
            "ttl": 60,
            "records": [f"_y-{domain}.acm-validations.aws."],
        }
    }


def validation(where: str = REGION, **more: Any) -> dict[tuple[str, str], Properties]:
    return {
        (VALIDATION, "certificate-validation"): {
            "certificateArn": f"arn:aws:acm:{where}:{ACCOUNT}:certificate/1",
            "validationRecordFqdns": [f"_x.{domain}" for domain in PROVEN],
            **more,
        }
    }


def test_a_certificate_is_these_resources_and_no_other() -> None:
    recording = run()
    recording.seal(
        {
            ("stackwright:aws:Certificate", "certificate"): {},
            **certificate(),
            **proof("clinic.example.org"),
            **proof("www.example.org"),
            **validation(),
        }
    )
    assert {each.parent for each in recording.resources if each.name != "certificate"} == {"certificate"}
    # A certificate is no data: another set of names has to be able to replace it.
    assert not any(each.secrets or each.protect for each in recording.resources)


def test_the_arn_is_that_of_the_issued_certificate() -> None:
    def program() -> None:
        found = Certificate("certificate", args())
        aws_user("user", found.arn)

    recording = record(program, stack="test", computed=COMPUTED)
    assert recording.component_outputs["certificate"] == {
        "arn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1",
        "validationNames": [f"_x.{domain}" for domain in PROVEN],
    }
    assert "certificate-validation" in recording.named("user").depends_on


def aws_user(name: str, value: pulumi.Input[str]) -> pulumi.CustomResource:
    return pulumi.CustomResource("test:index:User", name, {"certificate": value})


def test_one_for_cloudfront_is_in_its_region_and_is_proven_by_the_records_of_the_first() -> None:
    def program() -> None:
        first = Certificate("first", args())
        more = {"hosted_zone_id": None, "validation_names": first.validation_names, "region": "us-east-1"}
        Certificate("certificate", args(**more))

    recording = record(program, stack="test", computed=COMPUTED)
    own = {each.name for each in recording.resources if each.parent == "certificate"}
    assert own == {"certificate-certificate", "certificate-validation"}
    for found in (certificate(region="us-east-1"), validation("us-east-1", region="us-east-1")):
        ((_, name), inputs), *_ = found.items()
        assert recording.named(name).inputs == inputs
    assert len([each for each in recording.resources if each.type == RECORD]) == len(PROVEN)
    # The records have no region: Route 53 is everywhere.
    assert not any("region" in each.inputs for each in recording.resources if each.type == RECORD)


def test_one_name_has_no_others_and_a_wildcard_is_proven_by_its_parent() -> None:
    recording = run(names=["*.example.org"], key_algorithm="RSA_2048")
    assert recording.named("certificate-certificate").inputs == {
        "domainName": "*.example.org",
        "validationMethod": "DNS",
        "keyAlgorithm": "RSA_2048",
        "tags": tags("test-example.org"),
    }
    assert recording.named("certificate-validation-example.org").inputs["name"] == "_x.example.org."


def test_a_preview_has_every_record() -> None:
    unknown = {CERTIFICATE: lambda _: {"arn": rpc.UNKNOWN, "domainValidationOptions": rpc.UNKNOWN}}
    recording = record(_program, stack="test", computed=unknown, preview=True)
    names = [each.name for each in recording.resources if each.type == RECORD]
    assert names == [f"certificate-validation-{domain}" for domain in PROVEN]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"names": []}, "CertificateArgs.names has 0, accepted: 1 to 100"),
        ({"names": [f"a{number}.example.org" for number in range(101)]}, "names has 101, accepted: 1 to 100"),
        (
            {"names": ["Clinic.example.org"]},
            "names has 'Clinic.example.org', accepted: full names in lower case such as example.org or *.example.org",
        ),
        ({"names": ["a.*.example.org"]}, "names has 'a.*.example.org', accepted: full names"),
        ({"names": ["my_clinic.example.org"]}, "names has 'my_clinic.example.org', accepted: full names"),
        ({"names": ["localhost"]}, "names has 'localhost', accepted: full names"),
        ({"names": ["a.example.org", "a.example.org"]}, "names has 'a.example.org' twice, accepted: each once"),
        (
            {"names": [f"{'a' * 55}.example.org"]},
            f"names begins with '{'a' * 55}.example.org', accepted: a main name of at most 64 characters",
        ),
        ({"hosted_zone_id": None}, "hosted_zone_id and validation_names are both missing, accepted: one of them"),
        ({"validation_names": ["a", "b"]}, "hosted_zone_id and validation_names are both given, accepted: one of them"),
        ({"hosted_zone_id": "example.org"}, "hosted_zone_id is 'example.org', accepted: an id such as Z0123456789AB"),
        (
            {"hosted_zone_id": None, "validation_names": ["a"]},
            "validation_names has 1, accepted: 2, one for each of clinic.example.org, www.example.org",
        ),
        ({"region": "us-east"}, "region is 'us-east', accepted: a region such as us-east-1"),
        ({"key_algorithm": "EC_secp384r1"}, "key_algorithm is 'EC_secp384r1', accepted: EC_prime256v1, RSA_2048"),
    ],
)
def test_what_acm_would_refuse_is_said_first(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)) as raised:
        args(**more)
    assert len(str(raised.value).splitlines()) == 1


def test_a_main_name_may_have_64_characters() -> None:
    name = f"{'a' * 52}.example.org"
    assert len(name) == 64
    assert args(names=[name]).proven == (name,)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ValueError, match="CertificateArgs") as raised:
        args(names=["A.org"], region="x", key_algorithm="RSA_1024")
    assert [line.split(" ")[0] for line in str(raised.value).splitlines()] == [
        "CertificateArgs.names",
        "CertificateArgs.region",
        "CertificateArgs.key_algorithm",
    ]


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([Certificate])
    definition = found["component_definitions"]["Certificate"]
    assert set(definition.inputs) >= {"context", "names", "hostedZoneId"}
    assert set(definition.outputs) == {"arn", "validationNames"}
    assert all(each.properties for each in found["type_definitions"].values())
