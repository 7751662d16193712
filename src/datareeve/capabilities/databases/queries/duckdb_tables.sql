-- Every table and view of the file, with estimated rows. DuckDB.
SELECT schema_name AS schema, table_name AS name, 'r' AS kind, estimated_size AS estimated_rows, comment
  FROM duckdb_tables() WHERE NOT internal AND NOT temporary AND database_name = current_database()
UNION ALL
SELECT schema_name, view_name, 'v', NULL, comment
  FROM duckdb_views() WHERE NOT internal AND NOT temporary AND database_name = current_database()
 ORDER BY 1, 2
