"""The state file, table by table."""
