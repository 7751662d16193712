"""Which columns hold personal data: of one table at a time, from names, types, neighbours and what the values look like."""
