-- Every column of the file's tables and views in order. DuckDB.
SELECT schema_name AS schema, table_name AS "table", column_name AS name, data_type AS type, NOT is_nullable AS not_null,
       column_default AS "default", comment
  FROM duckdb_columns() WHERE NOT internal AND database_name = current_database()
 ORDER BY schema_name, table_name, column_index
