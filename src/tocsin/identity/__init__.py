"""Who may call: applications and ingest keys, the built-in issuer's keys and tokens, the TLS certificate."""
