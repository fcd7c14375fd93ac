"""What goes out: names, spellings, dates and error bodies of each API we speak. One file per dialect."""
