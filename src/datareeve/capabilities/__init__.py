"""Vertical slices: databases now; AI APIs, pipelines, quality, storage and analytics beside it. None imports another."""
