"""Whose data it is, why it is kept, and how it goes."""
