import os
from pathlib import Path

import pytest

from stackwright.testing import edge_contract

CONTRACT = edge_contract.load(Path(__file__).parents[3] / "tests/contract/edge.yml")


@pytest.fixture(scope="module")
def edge(host):
    # Counters of limits live in nginx's memory and would outlast an earlier run of these tests.
    host.run_expect([0], "systemctl restart nginx.service")
    ca = host.file("/etc/stackwright/tls/nginx/ca.crt").content_string
    return edge_contract.Edge(address=os.environ.get("EDGE_ADDRESS", "10.231.14.11"), ca=ca)


@pytest.mark.parametrize("case", CONTRACT.cases, ids=lambda case: case["name"])
def test_contract(case, edge):
    edge_contract.run(case, edge)
