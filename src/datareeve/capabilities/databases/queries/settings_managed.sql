-- The signs of managed services that refuse ALTER SYSTEM: their own roles and settings.
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname IN ('rdsadmin', 'rds_superuser')) AS rds,
       EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloudsqlsuperuser') AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'alloydbsuperuser') AS cloudsql,
       EXISTS (SELECT FROM pg_roles WHERE rolname = 'alloydbsuperuser') AS alloydb,
       EXISTS (SELECT FROM pg_roles WHERE rolname = 'azure_pg_admin') AS azure
