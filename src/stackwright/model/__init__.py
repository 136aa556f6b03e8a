"""The environment model: what a system is, where it runs and how big; pure Python, no Pulumi and no Ansible."""
