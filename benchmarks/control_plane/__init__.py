"""`python -m benchmarks.control_plane`: how fast, cheap and quiet the operator is, beside a plain kopf operator."""
