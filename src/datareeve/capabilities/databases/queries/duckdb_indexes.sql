-- Every index that a statement made (keys have their own, which are not listed). DuckDB.
SELECT schema_name AS schema, table_name AS "table", index_name AS name, is_unique AS "unique", expressions, sql AS definition
  FROM duckdb_indexes() WHERE database_name = current_database()
 ORDER BY schema_name, table_name, index_name
