"""What leases hang on: processes, heartbeats, and who is on a slice that is not his."""
