"""An optional check: the queries on a real Trino, beside DuckDB."""
