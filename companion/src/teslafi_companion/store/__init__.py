"""The database: tables, migrations, transactions, key ring. SQLite by default, PostgreSQL by one setting."""
