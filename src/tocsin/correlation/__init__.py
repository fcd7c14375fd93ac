"""How alerts become incidents: evidence, placing, guards, names and explanations. Pure: no I/O, clock or log."""
