"""Everything kept. `sqlite/` is the embedded engine; another engine is another folder with the same verbs."""
