"""What servers that configure themselves are given: the bundle, its wheels, their slice of the inventory."""

from __future__ import annotations

import ast
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from stackwright import project
from stackwright.artifact import configuration, runtime, wheels
from stackwright.artifact.configuration import BundleError, Recipe
from stackwright.cli import app as cli
from stackwright.infra.aws import bundles
from stackwright.infra.aws.database_ca import DatabaseCaError
from stackwright.model import wiring
from stackwright.model.aws import member
from stackwright.model.aws.boot.bundle import signed_message
from stackwright.model.environment import Environment, load
from stackwright.model.output import InventoryError
from stackwright.model.secrets import application_names, cloud_names

ROOT = Path(__file__).resolve().parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ADMIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkVQp8NqQq9ONJZdgVTWb0o8NSWsiYsoAbS2FUPVYPS"


def output(environment: Environment) -> dict[str, Any]:
    names = ["postgresql", "postgresql_replica", *(f"redis_{each}" for each in environment.system.cache)]
    return {
        "endpoints": {name: {"scheme": "x", "addresses": [f"{name}.test"], "port": 1} for name in names},
        "cloud": {
            "region": "eu-central-1",
            "secrets_prefix": f"{environment.name}/",
            "buckets": {"artifacts": "the-bucket", "uploads": "the-uploads"},
        },
    }


@pytest.fixture
def production() -> Environment:
    return load(ROOT / "inventories/taaleem-production")


def inventory(environment: Environment) -> dict[str, Any]:
    return member.inventory(environment, output(environment), ADMIN)


# --- the slice --------------------------------------------------------------------------------------------------------


def test_a_server_of_a_group_knows_itself_and_where_services_are(production: Environment) -> None:
    found = inventory(production)["all"]
    (name,) = found["hosts"]
    stack = found["vars"]["stack"]
    mine = {group for group, members in found["children"].items() if members}
    assert mine == {"edge", "app", "database_pool", "metrics"}
    assert found["hosts"][name]["host_metrics_group"] == "taaleem-production-app"
    assert stack["apps"]["emr"]["instances_by_host"].keys() == {name}
    assert {each["address"] for each in stack["apps"]["emr"]["instances_by_host"][name]} == {"127.0.0.1"}
    assert stack["database"]["primary_name"] == "postgresql.test"
    assert stack["secrets"]["cloud"] == {
        "region": "eu-central-1",
        "domain": "amazonaws.com",
        "prefix": "taaleem-production/",
    }
    assert json.loads(json.dumps(found)) == found


def test_a_server_of_a_group_reads_no_secret_but_its_applications(production: Environment) -> None:
    names = inventory(production)["all"]["vars"]["stack"]["secrets"]["names"]
    assert names == list(application_names(production))
    assert set(names) < set(cloud_names(production))
    assert "tls/ca_key" not in names
    assert not [name for name in names if name.startswith(("etcd/", "patroni/", "restic/", "pgbackrest/"))]


def test_a_load_balancers_health_checks_are_answered_by_the_applications_instances(production: Environment) -> None:
    stack = inventory(production)["all"]["vars"]["stack"]
    found = wiring.nginx_balancer(stack, "/tls")
    assert found["health_path"] == stack["apps"]["emr"]["health"]["path"]
    assert found["upstream"] in [each["name"] for site in stack["edge"]["sites"] for each in site["upstreams"]]
    assert found["certificate_file"] == "/tls/tls.crt"


def test_no_slice_before_the_services_are_there(production: Environment) -> None:
    early = output(production)
    del early["endpoints"]["postgresql"]
    with pytest.raises(InventoryError, match="has no endpoint postgresql; run: stackwright up taaleem-production"):
        member.inventory(production, early, ADMIN)


def test_no_slice_without_a_group() -> None:
    local = load(ROOT / "inventories/taaleem-local")
    with pytest.raises(InventoryError, match="taaleem-local has no group of servers on AWS"):
        member.inventory(local, {"endpoints": {}}, ADMIN)


# --- wheels -----------------------------------------------------------------------------------------------------------


def test_wheels_are_those_of_the_lock_with_their_hashes() -> None:
    text = wheels.requirements(ROOT / "uv.lock", "3.13", "x86_64")
    names = {line.split("==")[0] for line in text.splitlines() if "==" in line}
    assert {"ansible", "ansible-core", "cryptography", "pip", "pydantic", "pyyaml", "jinja2"} <= names
    assert not names & {"pulumi", "pulumi-aws", "pytest", "stackwright"}
    assert all("--hash=sha256:" in each for each in text.replace("\\\n", " ").splitlines())


def test_a_lock_without_the_group_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text('[[package]]\nname = "stackwright"\n')
    with pytest.raises(wheels.WheelError, match=r"uv\.lock has no group 'bundle' of stackwright: uv lock"):
        wheels.requirements(lock, "3.13", "x86_64")


def test_an_unknown_system_has_no_wheels() -> None:
    with pytest.raises(wheels.WheelError, match="no wheels for windows-2022 on x86_64, there are for debian-12"):
        wheels.build(ROOT / "uv.lock", "windows-2022", "x86_64")


# --- the archive ------------------------------------------------------------------------------------------------------


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, production: Environment) -> Recipe:
    """Of a project with our code, and with small files in place of what is built."""
    for each in ("ansible.cfg", "playbooks", "roles", "src", "tools", "uv.lock"):
        (tmp_path / each).symlink_to(ROOT / each)
    (tmp_path / "dist").mkdir()
    described = {"release": "1", "path": "a.tar.gz", "static_path": "s.tar.gz"}
    (tmp_path / "dist/taaleem.json").write_text(json.dumps(described))
    for name in ("a.tar.gz", "s.tar.gz"):
        (tmp_path / "dist" / name).write_bytes(name.encode())
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/requirements.txt").write_text("ansible==1\n")
    (tmp_path / "wheels/pip-1-py3-none-any.whl").write_bytes(b"wheel")
    archives = {}
    for name in ("nodejs", "pm2"):
        (tmp_path / f"{name}.tar.gz").write_bytes(name.encode())
        path = str(tmp_path / f"{name}.tar.gz")
        archives[name] = runtime.Archive(version="1", root=name, path=path, sha256="00")
    built = runtime.Runtime(architecture="x64", **archives)
    monkeypatch.setattr(runtime, "build", lambda architecture: built)
    monkeypatch.setattr(wheels, "build", lambda *_: tmp_path / "wheels")
    found = inventory(production)
    found["all"]["vars"]["stack"]["database"]["ca"] = "ca.pem"
    (tmp_path / "ca.pem").write_text("CERTIFICATE")
    return Recipe(
        project=tmp_path,
        environment="taaleem-production",
        tier="app",
        inventory=found,
        operating_system="debian-13",
        architecture="x86_64",
    )


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        files = [each for each in tar.getmembers() if each.isfile()]
        return {each.name.removeprefix("bundle/"): (tar.extractfile(each) or io.BytesIO()).read() for each in files}


def test_a_bundle_is_a_root_of_the_project(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plugins look for roles there."""
    for name, content in members(configuration.write(recipe, KEY, tmp_path / "out").archive).items():
        path = tmp_path / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(tmp_path / "bundle"))
    assert project.root() == tmp_path / "bundle"


def test_a_bundle_has_every_module_that_its_plugins_import(recipe: Recipe, tmp_path: Path) -> None:
    found = members(configuration.write(recipe, KEY, tmp_path / "out").archive)
    package = "src/stackwright/"
    modules = {name.removesuffix("/__init__.py").removesuffix(".py") for name in found if name.startswith(package)}
    missing = set()
    for name, text in found.items():
        if not name.startswith(package) or not name.endswith(".py"):
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "stackwright":
                module = f"src/{str(node.module).replace('.', '/')}"
                # A name is a module of the package, or something that the module has.
                names = {f"{module}/{alias.name}" for alias in node.names}
                own = names if (ROOT / module).is_dir() else {module}
                missing |= {each for each in own if (ROOT / f"{each}.py").exists() and each not in modules}
    assert not missing


def test_a_bundle_is_a_project_that_a_server_can_run(recipe: Recipe, tmp_path: Path) -> None:
    made = configuration.write(recipe, KEY, tmp_path / "out")
    found = members(made.archive)
    manifest = {"format": 1, "serial": made.serial, "environment": "taaleem-production", "tier": "app"}
    assert json.loads(found["manifest.json"]) == manifest
    assert yaml.safe_load(found["inventory/hosts.yml"]) == recipe.inventory
    assert b"enable_plugins = yaml" in found["ansible.cfg"]
    assert {"playbooks/configure-self.yml", "playbooks/drain.yml", "playbooks/group_vars/app/pm2.yml"} <= found.keys()
    assert {"requirements.txt", "wheels/pip-1-py3-none-any.whl", "dist/a.tar.gz", "ca.pem"} <= found.keys()
    assert "src/stackwright/ansible/lookup/stackwright_secrets.py" in found
    assert not [name for name in found if "__pycache__" in name or "/infra/" in name or "/testing/" in name]
    described = next(name for name in found if name.endswith("runtime-x64.json"))
    assert json.loads(found[described])["nodejs"]["path"] == "nodejs.tar.gz"
    assert str(Path(described).parent / "nodejs.tar.gz") in found


def test_the_signature_is_of_the_archive_and_of_nothing_else(recipe: Recipe, tmp_path: Path) -> None:
    made = configuration.write(recipe, KEY, tmp_path / "out")
    KEY.public_key().verify(made.signature.read_bytes(), signed_message(made.sha256))
    with pytest.raises(InvalidSignature):
        KEY.public_key().verify(made.signature.read_bytes(), signed_message("0" * 64))


def test_the_same_content_is_the_same_bundle_and_other_content_a_later_one(recipe: Recipe, tmp_path: Path) -> None:
    first = configuration.write(recipe, KEY, tmp_path / "out")
    again = configuration.write(recipe, KEY, tmp_path / "out")
    assert again == first
    # A file that was lost, or half written, is made again as it was.
    first.archive.write_bytes(b"half")
    assert configuration.write(recipe, KEY, tmp_path / "out") == first
    assert len(members(first.archive)) > 100
    (recipe.project / "dist/a.tar.gz").write_bytes(b"another release")
    later = configuration.write(recipe, KEY, tmp_path / "out")
    assert later.serial > first.serial
    assert configuration.serial(tmp_path / "out", "app") == later.serial


def test_a_machine_that_lost_what_it_knew_makes_a_later_bundle(recipe: Recipe, tmp_path: Path) -> None:
    first = configuration.write(recipe, KEY, tmp_path / "out")
    assert configuration.write(recipe, KEY, tmp_path / "elsewhere").serial >= first.serial


def test_a_missing_release_is_named_with_what_builds_it(recipe: Recipe, tmp_path: Path) -> None:
    (recipe.project / "dist/taaleem.json").unlink()
    with pytest.raises(
        BundleError, match=r"taaleem\.json is not there, the release of emr; build it with: make artifact"
    ):
        configuration.write(recipe, KEY, tmp_path / "out")


# --- the bucket -------------------------------------------------------------------------------------------------------


class Aws:
    """The AWS CLI."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.put: list[str] = []

    def __call__(self, argv: Sequence[str]) -> str:
        key = argv[argv.index("--key") + 1] if "--key" in argv else ""
        if argv[2] == "list-objects-v2":
            return json.dumps({"Contents": [{}]} if self.known else {})
        if argv[2] == "head-object":
            return json.dumps({"Metadata": {"bundle-sha256": self.known[key]}})
        assert argv[2] == "put-object"
        assert argv[argv.index("--bucket") + 1] == "the-bucket"
        self.known[key] = argv[argv.index("--metadata") + 1].removeprefix("bundle-sha256=")
        self.put.append(key)
        return ""


def test_the_signature_is_uploaded_last_and_nothing_twice(
    recipe: Recipe, tmp_path: Path, production: Environment
) -> None:
    made, aws = configuration.write(recipe, KEY, tmp_path / "out"), Aws()
    assert bundles.upload(output(production), made, aws)
    assert aws.put == ["bundle/app.tar.gz", "bundle/app.tar.gz.sig"]
    assert not bundles.upload(output(production), made, aws)
    assert len(aws.put) == 2
    # Cut off between the two: the signature is that of an older one.
    aws.known["bundle/app.tar.gz.sig"] = "0" * 64
    assert bundles.upload(output(production), made, aws)


def test_a_ca_that_is_none_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("inventories", "systems"):
        (tmp_path / each).mkdir()
    (tmp_path / "systems/taaleem.yml").write_text((ROOT / "systems/taaleem.yml").read_text())
    (tmp_path / "inventories/cloud").mkdir()
    (tmp_path / "inventories/cloud/stack.yml").write_text(
        (ROOT / "inventories/taaleem-production/stack.yml").read_text()
    )
    environment = load(tmp_path / "inventories/cloud")
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        return b"<html>captive portal</html>"

    with pytest.raises(
        DatabaseCaError, match="holds no certificates, accepted: PEM with the CA of the database's servers"
    ):
        bundles.write(environment, output(environment), get)
    assert asked == ["https://truststore.pki.rds.amazonaws.com/eu-central-1/eu-central-1-bundle.pem"]
    assert not (environment.state_folder / "database-ca.pem").exists()


def test_a_bundle_is_for_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(ROOT))
    done = CliRunner().invoke(cli.app, ["bundle", "taaleem-local"])
    assert isinstance(done.exception, BundleError)
    assert "taaleem-local has no group of servers that configure themselves (aws.app.group)" in str(done.exception)


def test_variables_of_the_environment_are_in_its_bundle_and_an_encrypted_file_is_refused(
    recipe: Recipe, tmp_path: Path
) -> None:
    own = tmp_path / "inventories/taaleem-production/group_vars"
    (own / "all").mkdir(parents=True)
    (own / "app.yml").write_text("pm2_roll_on_change: false\n")
    found = members(configuration.write(recipe, KEY, tmp_path / "out").archive)
    assert found["inventory/group_vars/app.yml"] == b"pm2_roll_on_change: false\n"
    (own / "all/secret.yml").write_text("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\n")
    with pytest.raises(configuration.BundleError, match=r"taaleem-production/group_vars/all/secret\.yml is encrypted"):
        configuration.write(recipe, KEY, tmp_path / "out")
