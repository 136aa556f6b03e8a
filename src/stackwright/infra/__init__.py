"""Provisioning: components, the Pulumi provider for them, and the calls of the Pulumi CLI."""
