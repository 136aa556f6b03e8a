"""Prices from AWS's list: small files in the documented format, no network."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from stackwright.cost import offers, prices, refresh
from stackwright.cost.prices import Price, Prices

REGION = "eu-central-1"
#: As the header of the list has them (guide of AWS Billing, "Reading the service price list file").
COLUMNS = (
    "SKU", "OfferTermCode", "RateCode", "TermType", "PriceDescription", "EffectiveDate", "StartingRange", "EndingRange",
    "Unit", "PricePerUnit", "Currency", "Product Family", "serviceCode", "Location", "Instance Type", "Tenancy",
    "Operating System", "License Model", "usageType", "operation", "CapacityStatus", "Pre Installed S/W",
    "Database Engine", "Deployment Option", "Cache Engine",
)  # fmt: skip
SERVER = {
    "Instance Type": "t3.micro",
    "Tenancy": "Shared",
    "Operating System": "Linux",
    "License Model": "No License required",
    "CapacityStatus": "Used",
    "Pre Installed S/W": "NA",
    "usageType": "EUC1-BoxUsage:t3.micro",
}
DATABASE = {
    "Product Family": "Database Instance",
    "Instance Type": "db.t4g.micro",
    "Database Engine": "PostgreSQL",
    "License Model": "No license required",
}


def offer(*rows: dict[str, str], date: str = "2026-11-20T01:02:03Z") -> str:
    """A list with these rows, each on demand from the first unit on unless it says otherwise."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    about = {"FormatVersion": "v1.0", "Disclaimer": "a, b", "Publication Date": date, "Version": "1", "OfferCode": "X"}
    writer.writerows(about.items())
    writer.writerow(COLUMNS)
    usual = {"TermType": "OnDemand", "StartingRange": "0", "Currency": "USD", "Unit": "Hrs"}
    for position, row in enumerate(rows):
        values = {"SKU": f"SKU{position}", **usual, **row}
        assert set(values) <= set(COLUMNS)
        writer.writerow([values.get(column, "") for column in COLUMNS])
    return file.getvalue()


def read(name: str, *rows: dict[str, str]) -> dict[str, set[float]]:
    rules = [rule for rule in offers.RULES if rule.offer == name]
    return {kind: set(found) for kind, found in offers.read(io.StringIO(offer(*rows)), rules).found.items()}


def row(usage: str, price: str, **more: str) -> dict[str, str]:
    return {"usageType": usage, "PricePerUnit": price, **more}


def test_a_server_is_told_from_all_that_resembles_it() -> None:
    rows = [
        SERVER | {"PricePerUnit": "0.0120000000"},
        SERVER | {"PricePerUnit": "0.0212000000", "Operating System": "Windows"},
        SERVER | {"PricePerUnit": "0.5", "Operating System": "RHEL"},
        SERVER | {"PricePerUnit": "0.5", "Pre Installed S/W": "SQL Web"},
        SERVER | {"PricePerUnit": "0.5", "Tenancy": "Dedicated", "usageType": "EUC1-DedicatedUsage:t3.micro"},
        SERVER | {"PricePerUnit": "0.5", "CapacityStatus": "UnusedCapacityReservation"},
        SERVER | {"PricePerUnit": "0.5", "TermType": "Reserved"},
        SERVER | {"PricePerUnit": "0.5", "License Model": "Bring your own license", "Operating System": "Windows"},
    ]
    assert read("AmazonEC2", *rows) == {"ec2/t3.micro": {0.012}, "ec2-windows/t3.micro": {0.0212}}


@pytest.mark.parametrize("letters", ["", "EUC1-", "EU-", "USE1-"])
def test_a_regions_letters_are_no_part_of_the_name(letters: str) -> None:
    assert read("AmazonVPC", row(f"{letters}PublicIPv4:InUseAddress", "0.005")) == {"ipv4/hour": {0.005}}


@pytest.mark.parametrize("letters", ["TS-", "EUC1-TS-", "X"])
def test_other_letters_are_another_thing(letters: str) -> None:
    rows = row(f"{letters}LoadBalancerUsage", "0.005", operation="LoadBalancing:Application")
    assert read("AWSELB", rows) == {}


def test_throughput_is_listed_by_the_gibibyte() -> None:
    rows = row("EUC1-EBS:VolumeP-Throughput.gp3", "48.7424", Unit="GiBps-mo")
    assert read("AmazonEC2", rows) == {"ebs/gp3-mbps": {0.0476}}


def test_requests_are_listed_one_by_one() -> None:
    assert read("AmazonS3", row("EUC1-Requests-Tier1", "0.0000054")) == {"s3/writes": {0.0054}}


def test_the_first_step_that_is_not_free_counts() -> None:
    steps = [
        row("EUC1-DataTransfer-Out-Bytes", price, SKU="one", StartingRange=start)
        for price, start in (("0.07", "51200"), ("0", "0"), ("0.09", "100"), ("0.085", "10240"))
    ]
    assert read("AWSDataTransfer", *steps) == {"traffic/internet-gb": {0.09}}


def test_a_database_by_its_zones() -> None:
    rows = [
        DATABASE | row("EUC1-InstanceUsage:db.t4g.micro", "0.019", **{"Deployment Option": "Single-AZ"}),
        DATABASE | row("EUC1-Multi-AZUsage:db.t4g.micro", "0.038", **{"Deployment Option": "Multi-AZ"}),
        DATABASE
        | row("EUC1-Multi-AZClusterUsage:db.x", "0.1", **{"Deployment Option": "Multi-AZ (readable standbys)"}),
        DATABASE
        | row("EUC1-InstanceUsage:db.t4g.micro", "0.5", **{"Deployment Option": "Single-AZ"})
        | {"Database Engine": "Oracle"},
        row("EUC1-RDS:Multi-AZ-GP3-Storage", "0.274", **{"Database Engine": "Any", "Deployment Option": "Multi-AZ"}),
    ]
    assert read("AmazonRDS", *rows) == {
        "rds-postgresql/db.t4g.micro/single": {0.019},
        "rds-postgresql/db.t4g.micro/multi": {0.038},
        "rds/gp3-gb/multi": {0.274},
    }


def test_every_kind_of_a_rule_is_one_of_the_file() -> None:
    """A rule for a kind that nobody charges would be read for nothing."""
    for region in (REGION, prices.GLOBAL):
        kinds = prices.shipped().regions[region]
        for rule in offers.rules(region):
            found = rule.kind.split("{", maxsplit=1)[0]
            assert [kind for kind in kinds if kind.startswith(found)], rule.kind


@pytest.mark.parametrize("text", ["", "<html>\n" * 9, "a,b\n" * 9])
def test_something_else_is_no_list(text: str) -> None:
    with pytest.raises(ValueError, match="no price list, accepted: the CSV file of AWS's Bulk API"):
        offers.read(io.StringIO(text), offers.RULES)


def remembered(usd: float, unit: str = "hour") -> Price:
    return Price(unit=unit, usd=usd, source="remembered", verified=False, date="2026-11")


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A file with a price that the list confirms, one that it changes, and two that it does not say."""
    kinds = {
        "ec2/t3.micro": remembered(0.012),
        "nat/hour": remembered(0.05),
        "nat/gb": remembered(0.05, "gb"),
        "ipv4/hour": remembered(0.005),
    }
    file = tmp_path / "prices.json"
    prices.write(Prices(regions={REGION: kinds, "global": {"route53/zone": remembered(0.5, "month")}}), file)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    listed = [
        SERVER | {"PricePerUnit": "0.0120000000"},
        SERVER | {"PricePerUnit": "9", "Instance Type": "u-6tb1.metal", "usageType": "EUC1-BoxUsage:u-6tb1.metal"},
        row("EUC1-NatGateway-Hours", "0.052"),
        row("EUC1-NatGateway-Bytes", "0.052"),
        row("EUC1-NatGateway-Bytes", "0.053"),
    ]
    file = tmp_path / "lists" / "AmazonEC2" / f"{REGION}.csv"
    file.parent.mkdir(parents=True)
    file.write_text(offer(*listed))
    return tmp_path / "lists"


def test_a_refresh_says_what_it_did(known: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refresh.main(["--file", str(known), "--from-folder", str(folder)]) == 0
    found = prices.read(known).regions
    source = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/eu-central-1/index.csv"
    assert found[REGION] == {
        "ec2/t3.micro": Price(unit="hour", usd=0.012, source=source, verified=True, date="2026-11-20"),
        "nat/hour": Price(unit="hour", usd=0.052, source=source, verified=True, date="2026-11-20"),
        "nat/gb": remembered(0.05, "gb"),
        "ipv4/hour": remembered(0.005),
    }
    assert found["global"] == {"route53/zone": remembered(0.5, "month")}
    said = capsys.readouterr().out
    assert "changed: eu-central-1 nat/hour: 0.05 -> 0.052\n" in said
    assert "kept: eu-central-1 nat/gb: the list has 2 prices\n" in said
    assert "kept: eu-central-1 ipv4/hour: not in the list\n" in said
    assert f"not read: {offers.address('AmazonVPC', REGION)}: " in said
    assert said.endswith("1 changed, 1 confirmed, 3 kept as they were\n")


def test_a_refresh_of_the_same_lists_gives_the_same_bytes(known: Path, folder: Path) -> None:
    arguments = ["--file", str(known), "--from-folder", str(folder)]
    refresh.main(arguments)
    first = known.read_bytes()
    assert refresh.main([*arguments, "--check"]) == 0
    refresh.main(arguments)
    assert known.read_bytes() == first


def test_a_check_changes_nothing(known: Path, folder: Path) -> None:
    before = known.read_bytes()
    assert refresh.main(["--file", str(known), "--from-folder", str(folder), "--check"]) == 1
    assert known.read_bytes() == before


def test_without_a_list_nothing_is_written(known: Path, tmp_path: Path) -> None:
    before = known.read_bytes()
    assert refresh.main(["--file", str(known), "--from-folder", str(tmp_path / "nowhere")]) == 2
    assert known.read_bytes() == before


def test_a_new_region_has_what_the_list_says(known: Path, folder: Path) -> None:
    (folder / "AmazonEC2" / "ap-south-1.csv").write_text(offer(row("APS3-NatGateway-Hours", "0.056")))
    refresh.main(["--file", str(known), "--from-folder", str(folder), "--region", "ap-south-1"])
    assert {kind: price.usd for kind, price in prices.read(known).regions["ap-south-1"].items()} == {"nat/hour": 0.056}


def test_the_address_of_a_list() -> None:
    assert offers.address("AmazonRoute53", "global").endswith("/offers/v1.0/aws/AmazonRoute53/current/index.csv")
