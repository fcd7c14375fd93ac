-- Who read, changed, exported, signed in, was refused: append-only, each row sealed with the one before (ADR 8).

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,                 -- dense from 1
    record   BLOB    NOT NULL,                    -- JSON, as it was hashed
    seal     BLOB    NOT NULL                     -- SHA-256 over the seal before and this record
) STRICT;

-- One row at most: up to where records were removed on purpose, and the seal that the next one follows.
CREATE TABLE audit_pruned (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    sequence INTEGER NOT NULL,
    seal     BLOB    NOT NULL
) STRICT;

-- Against mistakes of this program; who writes into the file by other means is found by the seals.
CREATE TRIGGER audit_is_not_edited BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN OLD.sequence > coalesce((SELECT sequence FROM audit_pruned), 0)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
