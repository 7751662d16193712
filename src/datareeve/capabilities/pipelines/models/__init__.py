"""SQL models: read, put in order, written for each engine, built and tested."""
