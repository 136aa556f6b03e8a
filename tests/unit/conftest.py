"""Modules import what they share under the name that Ansible gives it on a host."""

from __future__ import annotations

import sys

from stackwright.ansible.module_utils import stackwright_programs, stackwright_units

sys.modules["ansible.module_utils.stackwright_units"] = stackwright_units
sys.modules["ansible.module_utils.stackwright_programs"] = stackwright_programs
