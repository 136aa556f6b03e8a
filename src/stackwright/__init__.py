"""stackwright: one environment file becomes a running production stack."""
