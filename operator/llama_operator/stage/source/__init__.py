"""Where files come from: each kind of source is asked in its own way for an address, a digest and credentials."""
