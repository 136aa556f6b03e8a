"""The components of an environment, the same for every provider."""
