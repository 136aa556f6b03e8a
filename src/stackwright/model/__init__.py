"""The environment model: what a system is, where it runs and how big it is. Pure Python, without Pulumi and Ansible."""
