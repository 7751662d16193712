"""What a table's own history lets one expect of it."""
