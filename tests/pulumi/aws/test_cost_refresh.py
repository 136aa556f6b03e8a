"""Prices from AWS's list: small files in the documented format, no network."""

from __future__ import annotations

import csv
import http.client
import http.server
import io
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


VERSION = "20261120010203"


def offer(*rows: dict[str, str], date: str = "2026-11-20T01:02:03Z", version: str = VERSION) -> str:
    """A list with these rows, each on demand from the first unit on unless it says otherwise."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    about = {
        "FormatVersion": "v1.0",
        "Disclaimer": "a, b",
        "Publication Date": date,
        "Version": version,
        "OfferCode": "X",
    }
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
    return {kind: set(found.usd) for kind, found in offers.read(io.StringIO(offer(*rows)), rules).prices.items()}


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


@pytest.mark.parametrize("letters", ["", "EUC1-", "EU-", "USE1-", "eu-central-1-"])
def test_a_regions_letters_are_no_part_of_the_name(letters: str) -> None:
    assert read("AmazonVPC", row(f"{letters}PublicIPv4:InUseAddress", "0.005")) == {"ipv4/hour": {0.005}}


def test_a_gateway_of_a_whole_region_is_another_thing() -> None:
    rows = [row("EUC1-NatGateway-Hours", "0.052"), row("EUC1-RegionalNatGateway-Hours", "0.06")]
    assert read("AmazonEC2", *rows) == {"nat/hour": {0.052}}


def test_log_lines_of_cheaper_groups_are_another_thing() -> None:
    rows = [
        row("EUC1-DataProcessing-Bytes", "0.63", operation="PutLogEvents", Unit="GB"),
        row("EUC1-DataProcessing-Bytes", "0.1", operation="PutLogEventsOther", Unit="GB"),
    ]
    assert read("AmazonCloudWatch", *rows) == {"cloudwatch/log-gb": {0.63}}


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            offer(row("NatGateway-Hours", "0.052"), version="1"),
            "the list's version is '1', accepted: a time of 14 digits",
        ),
        (offer(), "the list has no row (was the download cut short?)"),
        (
            offer(row("EUC1-NatGateway-Hours", "0.052")).removesuffix("\r\n").rsplit(",", 3)[0],
            f"line 7 has {len(COLUMNS) - 3} columns, accepted: the {len(COLUMNS)} of the header (was the download cut short?)",
        ),
        *(
            (
                offer(row("EUC1-NatGateway-Bytes", "1"), row("EUC1-NatGateway-Hours", wrong)),
                f"line 8: priceperunit of EUC1-NatGateway-Hours is {wrong!r}, accepted: a number, 0 or more",
            )
            for wrong in ("much", "nan", "inf", "-0.1")
        ),
    ],
)
def test_a_list_that_is_not_whole_or_not_of_numbers_names_the_line(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        offers.read(io.StringIO(text), offers.RULES)
    assert str(caught.value) == message


def test_a_price_by_another_unit_is_no_price() -> None:
    found = offers.read(io.StringIO(offer(row("EUC1-NatGateway-Hours", "0.052", Unit="GB"))), offers.RULES).prices
    assert found["nat/hour"].problem("hour") == "the list counts in GB, not in hour"
    assert found["nat/hour"].problem("gb") == ""
    for ours, theirs in (
        ("hour", "LCU-Hrs"),
        ("hour", "vCPU-Hours"),
        ("gb-month", "GB-Mo"),
        ("gb", "GB"),
        ("month", "Keys"),
    ):
        assert offers.Found(usd=frozenset({1.0}), units=frozenset({theirs})).problem(ours) == ""


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
        row("EUC1-NatGateway-Bytes", "0.052", Unit="GB"),
        row("EUC1-NatGateway-Bytes", "0.053", Unit="GB"),
    ]
    file = tmp_path / "lists" / "AmazonEC2" / f"{REGION}.csv"
    file.parent.mkdir(parents=True)
    file.write_text(offer(*listed))
    return tmp_path / "lists"


def test_a_refresh_says_what_it_did(known: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refresh.main(["--file", str(known), "--from-folder", str(folder)]) == 0
    found = prices.read(known).regions
    # The list of that version, which never changes, not the newest one.
    source = f"https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/{VERSION}/eu-central-1/index.csv"
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


def test_a_kind_that_no_rule_reads_is_told_from_one_that_is_not_listed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {"backup/disk-gb": remembered(0.05, "gb-month"), "ec2/t3.nano": remembered(0.01)}
    file = tmp_path / "prices.json"
    prices.write(Prices(regions={REGION: kinds, "global": {}}), file)
    refresh.main(["--file", str(file), "--from-folder", str(folder)])
    said = capsys.readouterr().out
    assert "kept: eu-central-1 backup/disk-gb: no rule reads it from the list\n" in said
    assert "kept: eu-central-1 ec2/t3.nano: not in the list\n" in said


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["--region", "frankfurt"], None, "--region is 'frankfurt', accepted: a region's name, as eu-central-1"),
        ([], None, "No such file"),
        ([], "{", "no file of prices"),
        ([], '{"regions": {"global": {"a/b": {"unit": "gb", "usd": "1", "source": "x", "verified": true, "date": "2026-11"}}}}',
         "regions.global.a/b.usd is '1', accepted: a number above 0"),
        ([], '{"regions": {"global": {"a/b": {"unit": "ell", "usd": 1, "source": "x", "verified": 1, "date": "2026-11"}}}}',
         "regions.global.a/b.unit is 'ell', accepted: gb, gb-month"),
    ],
)  # fmt: skip
def test_what_cannot_be_refreshed_is_refused_before_anything_is_read(
    arguments: list[str], text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "prices.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        refresh.main(["--file", str(file), "--from-folder", str(tmp_path / "nowhere"), *arguments])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert (file.read_text() if file.is_file() else None) == text


def test_a_file_is_replaced_whole_or_not_at_all(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = known.read_bytes()

    def cut(path: Path, text: str, **_: Any) -> None:
        path.write_bytes(text[:100].encode())
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", cut)
    with pytest.raises(KeyboardInterrupt):
        prices.write(prices.read(known), known)
    assert known.read_bytes() == before


# AWS's addresses: an index of regions for each service, as it is on the wire, and beside each JSON file the CSV


def index(name: str, *regions: str, version: str = VERSION) -> dict[str, Any]:
    path = f"/offers/v1.0/aws/{name}/{version}"
    return {
        "formatVersion": "v1.0",
        "disclaimer": "This pricing list is for informational purposes only.",
        "publicationDate": "2026-11-20T01:02:03Z",
        "regions": {each: {"regionCode": each, "currentVersionUrl": f"{path}/{each}/index.json"} for each in regions},
    }


def test_the_index_says_which_list_is_the_newest() -> None:
    text = json.dumps(index("AmazonEC2", "eu-central-1", "aws-other"))
    assert offers.newest(text, "AmazonEC2", REGION) == offers.address("AmazonEC2", REGION, VERSION)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>", "no index of regions"),
        ("[]", "no index of regions"),
        ('{"regions": {"eu-central-1": {}}}', "no index of regions"),
        (json.dumps(index("AmazonEC2", "eu-west-1", "aws-other")), "AmazonEC2 has no prices of 'eu-central-1', it has those of: aws-other, eu-west-1"),
        (json.dumps(index("AmazonS3", REGION)), r"currentVersionUrl is '/offers/v1.0/aws/AmazonS3/"),
        (json.dumps(index("AmazonEC2", REGION, version="../../x")), "currentVersionUrl is "),
        ('{"regions": {"eu-central-1": {"currentVersionUrl": "@elsewhere.example/index.json"}}}', "currentVersionUrl is '@elsewhere"),
    ],
)  # fmt: skip
def test_an_index_that_is_none_or_leads_elsewhere_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        offers.newest(text, "AmazonEC2", REGION)


class Lists(http.server.ThreadingHTTPServer):
    """AWS's files: path -> text, and how many of a file's bytes arrive."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, str] = {}
        self.cut: dict[str, int] = {}
        self.asked: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Lists

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path not in self.server.files:
            self.send_error(404)
            return
        body = self.server.files[self.path].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut.get(self.path, len(body))])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lists]:
    server = Lists()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    # Only where it is asked for: a source is AWS's own address.
    real = urllib.request.urlopen

    def here(address: str, **more: Any) -> Any:
        return real(address.replace(offers.HOST, f"http://127.0.0.1:{server.server_address[1]}"), **more)

    monkeypatch.setattr(refresh.urllib.request, "urlopen", here)
    yield server
    server.shutdown()
    server.server_close()


def path_of(address: str) -> str:
    return address.removeprefix(offers.HOST)


def serve(lists: Lists, name: str, *rows: dict[str, str]) -> str:
    lists.files[path_of(offers.index_address(name))] = json.dumps(index(name, REGION))
    path = path_of(offers.address(name, REGION, VERSION))
    lists.files[path] = offer(*rows)
    return path


def test_from_aws_itself_as_its_index_says(known: Path, lists: Lists, capsys: pytest.CaptureFixture[str]) -> None:
    path = serve(lists, "AmazonEC2", row("EUC1-NatGateway-Hours", "0.052"))
    lists.files[path_of(offers.address("AmazonRoute53", "global"))] = offer(row("HostedZone", "0.5", Unit="HostedZone"))
    assert refresh.main(["--file", str(known)]) == 0
    found = prices.read(known).regions
    assert found[REGION]["nat/hour"] == Price(
        unit="hour", usd=0.052, source=offers.HOST + path, verified=True, date="2026-11-20"
    )
    assert found["global"]["route53/zone"].verified
    # A service without a region has no index of regions.
    assert path_of(offers.index_address("AmazonRoute53")) not in lists.asked
    said = capsys.readouterr().out
    assert (
        "not read: https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AWSELB/current/eu-central-1/index.csv"
        in said
    )
    assert "404" in said


@pytest.mark.parametrize("left", [1, 40, 2000])
def test_a_download_that_is_cut_short_changes_nothing(
    known: Path, lists: Lists, left: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = known.read_bytes()
    rows = [row("EUC1-NatGateway-Hours", "0.052")] + [row("EUC1-Other", "1")] * 50
    path = serve(lists, "AmazonEC2", *rows)
    lists.cut[path] = len(lists.files[path]) - left
    assert refresh.main(["--file", str(known)]) == 2
    assert known.read_bytes() == before
    said = capsys.readouterr().out
    assert f"the answer ended {left} bytes too early" in said or "(was the download cut short?)" in said


def test_an_answer_that_is_no_http_is_said(
    known: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise http.client.BadStatusLine("220 mail.example")

    monkeypatch.setattr(refresh.urllib.request, "urlopen", broken)
    assert refresh.main(["--file", str(known)]) == 2
    assert "220 mail.example" in capsys.readouterr().out
