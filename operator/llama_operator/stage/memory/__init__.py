"""How much memory llama-server will take for a model, from the headers of its files. Pure arithmetic."""
