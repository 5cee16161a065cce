"""The tracking store: the only rooms that use MLflow's private interface, so what may break with its next release.

- opening     open or create a store, refuse one of another schema, a moved or an unreachable one
- lock        one process at a time sets up a store
- queries     finished runs by fingerprint, sweeps that were begun: decides with them what is already tracked
- api_writer  write runs by MLflow's public interface, to any store
- sql_writer  write runs by SQL, a hundred in one transaction, to a database of a known schema
- bulk_insert insert many rows, in SQLite, PostgreSQL and MySQL
- cleanup     mark runs of dead processes as KILLED, delete runs that were tracked twice, gather statistics
"""
