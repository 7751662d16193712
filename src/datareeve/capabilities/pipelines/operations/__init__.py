"""Operations of pipelines, one a file."""
