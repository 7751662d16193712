"""Named SQL of the engines' catalogs."""
