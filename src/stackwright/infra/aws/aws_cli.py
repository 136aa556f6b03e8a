"""Calls of the AWS CLI, as a user would type them. Secrets are passed on standard input and appear in no message."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

#: The end of a command whose other parameters are passed in `parameters`.
GIVEN = ("--cli-input-json", "file:///dev/stdin")
_HIDDEN = "***"


class AwsCliError(RuntimeError):
    """The AWS CLI is missing, or AWS refused the call; the message contains no value that was passed."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        #: AWS's error code, such as `ResourceNotFoundException`; empty if the call did not get that far.
        self.code = code


def ask(argv: Sequence[str], parameters: Mapping[str, Any] | None = None, hide: Sequence[str] = ()) -> str:
    """Run a command of the AWS CLI and return what it prints.

    `parameters` are for a command that ends with GIVEN; the values in `hide` are masked in error messages.
    Raises AwsCliError.
    """
    with _standard_input(parameters) as source:
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=source)
        except FileNotFoundError as error:
            raise AwsCliError("the AWS CLI is not on PATH: pip install awscli, or AWS's own package") from error
    if done.returncode != 0:
        message = _hidden(done.stderr.strip(), hide)
        code = re.search(r"An error occurred \((\w+)\)", message)
        raise AwsCliError(f"`{' '.join(argv[:3])}` failed: {message}", code[1] if code else "")
    return done.stdout


@contextmanager
def _standard_input(parameters: Mapping[str, Any] | None) -> Iterator[int]:
    if parameters is None:
        yield subprocess.DEVNULL
        return
    # No pipe: version 1 of the AWS CLI opens the file twice, and the second time a pipe is empty.
    descriptor = _file()
    try:
        os.write(descriptor, json.dumps(parameters).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _file() -> int:
    """Return a file without a name: in memory, or on disk on systems without such files (macOS)."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("aws-cli-input")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _hidden(text: str, values: Sequence[str]) -> str:
    # The CLI quotes a parameter that it refuses, and a multi-line key line by line.
    for line in sorted({line for value in values for line in value.splitlines() if line}, key=len, reverse=True):
        text = text.replace(line, _HIDDEN)
    return text
