"""Jinja filters for group_vars: see stackwright.model.wiring."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from stackwright.model import wiring


class FilterModule:
    """The filters of stackwright.model.wiring."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {**wiring.FILTERS, "split_arguments": shlex.split}
