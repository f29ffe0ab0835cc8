"""What slices are doing: readings, and the one sampler of a broker that takes them."""
