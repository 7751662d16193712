"""Operations of data quality and compliance, one a file."""
