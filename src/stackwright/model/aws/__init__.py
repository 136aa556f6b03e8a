"""What is known about AWS without calling its API: names, regions, sizes, subnets. Pure functions and tables."""
