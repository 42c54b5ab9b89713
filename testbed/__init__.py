"""What tests and benchmarks stand on: clusters and a bucket on loopback, rows, frames, chaos."""
