"""The provider `local` and the podman that it calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.infra.local.podman import Podman, PodmanError


def remove(folder: Path, failures: int) -> int:
    """Remove a host with a podman that fails so often; return how often it was called."""
    calls, program = folder / "calls", folder / "podman"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {calls}\n'
        f'[ $(wc -l < {calls}) -gt {failures} ] || {{ echo "container state improper" >&2; exit 125; }}\n'
    )
    program.chmod(0o755)
    Podman(command=(str(program),)).remove_host("host")
    return len(calls.read_text().splitlines())


@pytest.mark.parametrize("failures", [0, 1])
def test_a_container_that_ends_while_it_is_killed_is_removed(tmp_path: Path, failures: int) -> None:
    assert remove(tmp_path, failures) == failures + 1


def test_a_container_that_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PodmanError, match="container state improper"):
        remove(tmp_path, 2)
