"""What is reached over HTTP. Each file gives routes; the wiring is in `app.py`."""
