"""Provisioning: components, the Pulumi provider that serves them, and how Pulumi is called."""
