-- Who read, changed, exported, signed in, was refused: append-only, each row sealed with the one before (ADR 8).

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,                 -- dense from 1
    record   BLOB    NOT NULL,                    -- JSON, as it was hashed
    seal     BLOB    NOT NULL                     -- SHA-256 over the seal before and this record
) STRICT;
