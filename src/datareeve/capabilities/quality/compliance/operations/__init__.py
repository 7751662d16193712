"""One operation a file, verb_noun: what can be done for compliance."""
