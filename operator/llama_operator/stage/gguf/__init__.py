"""The format of model files: read the header, check that the file is whole, tell what it is. No IO but reading."""
