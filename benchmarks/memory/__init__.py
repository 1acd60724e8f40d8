"""What a model is predicted to take in memory, beside what llama-server takes."""
