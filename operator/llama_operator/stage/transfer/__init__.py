"""Bytes from a server into one unfinished file: over broken connections, by several of them, across restarts."""
