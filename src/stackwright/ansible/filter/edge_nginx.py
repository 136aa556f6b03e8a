"""Jinja filters for the role nginx: see stackwright.model.edge_nginx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from stackwright.model import edge_nginx


def _normalise(sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        return edge_nginx.normalise(sites)
    except edge_nginx.EdgeError as error:
        raise AnsibleFilterError(f"nginx_sites:\n{error}") from error


class FilterModule:
    """The filters of stackwright.model.edge_nginx."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {**edge_nginx.FILTERS, "nginx_normalise": _normalise}
