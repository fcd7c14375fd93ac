-- What a tenant set of its correlation (docs/correlation/tuning.md), append-only: the newest is in force.

CREATE TABLE tuning (
    tenant_id INTEGER NOT NULL,
    version   INTEGER NOT NULL,                   -- from 1
    at        INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    document  TEXT    NOT NULL,                   -- JSON of correlation.tuning.Tuning
    PRIMARY KEY (tenant_id, version)
) STRICT, WITHOUT ROWID;
