"""Contracts: Open Data Contract Standard files, read as rules, written without loss, made from other tools' files and from profiles."""
