"""What is personal in data: found in texts, checked by digits, declared by an owner."""
