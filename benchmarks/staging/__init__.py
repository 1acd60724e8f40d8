"""How fast files are staged, and what that costs, beside the usual tools."""
