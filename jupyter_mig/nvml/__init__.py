"""The hardware port: one driver over pynvml, and the simulated NVML under it."""
