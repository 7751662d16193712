"""Named SQL; the first comment of each file says what it gives. Read with `sql.load`."""
