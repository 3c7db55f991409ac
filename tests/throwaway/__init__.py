"""A family that exists only to prove that one file and one table line are all it takes."""
