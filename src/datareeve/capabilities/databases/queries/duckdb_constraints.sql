-- Every constraint of the file but NOT NULL. DuckDB.
SELECT schema_name AS schema, table_name AS "table", constraint_type AS type, constraint_text AS definition, constraint_name AS name,
       constraint_column_names AS columns, referenced_table AS references_table, referenced_column_names AS references_columns
  FROM duckdb_constraints() WHERE constraint_type <> 'NOT NULL' AND database_name = current_database()
 ORDER BY schema_name, table_name, constraint_index
