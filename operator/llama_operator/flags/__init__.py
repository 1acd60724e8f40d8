"""What llama-server's flags are: by build of the engine, and whose they are to set."""
