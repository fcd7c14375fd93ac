"""The embedded store: one SQLite file, one writer, any number of readers."""
