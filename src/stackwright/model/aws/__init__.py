"""What is known of AWS without asking it: names, regions, sizes, subnets. Pure functions and tables."""
