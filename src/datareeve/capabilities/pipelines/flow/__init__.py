"""The data plane of pipelines: which rows move, in which order, and in what statements. It decides; systems carry out."""
