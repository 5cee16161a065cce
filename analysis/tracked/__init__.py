"""The tracking store as tables. store: reads it through MLflow's API. load: ``load_tables``. tables: ``Tables``."""
