"""What an environment is made of, the same for every provider."""
