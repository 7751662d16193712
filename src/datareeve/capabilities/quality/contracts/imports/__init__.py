"""Other tools' checks as rules: each is one, or is named with the reason why it is none."""
