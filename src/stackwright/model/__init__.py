"""The environment model: what a system is, where it runs and how big; pure Python, no Pulumi and no Ansible."""

from stackwright.model.environment import Environment, load
from stackwright.model.errors import ModelError, Problem

__all__ = ["Environment", "ModelError", "Problem", "load"]
