-- What signing in needs to remember. Whatever opens something is kept as SHA-256 of it; times are ticks.

ALTER TABLE application ADD COLUMN is_public INTEGER NOT NULL DEFAULT 0;         -- has no secret: runs on people's machines
ALTER TABLE application ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '[]';     -- JSON array

CREATE TABLE application_certificate (
    tenant_id   INTEGER NOT NULL,
    app_id      TEXT    NOT NULL,
    thumbprint  TEXT    NOT NULL,                 -- SHA-256, 64 hex digits
    certificate BLOB    NOT NULL,                 -- DER
    created     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, app_id, thumbprint)
) STRICT, WITHOUT ROWID;

-- Assertions that were used, for as long as they would be good.
CREATE TABLE used_assertion (
    assertion_hash TEXT    NOT NULL PRIMARY KEY,
    expires        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE browser_session (
    session_hash TEXT    NOT NULL PRIMARY KEY,
    tenant_id    INTEGER NOT NULL,
    user_id      TEXT,                            -- NULL: the operator, by a one-time link
    opened       INTEGER NOT NULL,
    used         INTEGER NOT NULL                 -- within a few minutes
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_session_by_opened ON browser_session (opened);

-- Authorization codes, and device codes with the short code that a person types (NULL for the former).
CREATE TABLE pending_sign_in (
    code_hash TEXT    NOT NULL PRIMARY KEY,
    tenant_id INTEGER NOT NULL,
    user_code TEXT    UNIQUE,
    document  TEXT    NOT NULL,                   -- JSON of identity.sign_in.Pending
    expires   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_sign_in_by_expires ON pending_sign_in (expires);

-- A family of refresh tokens: of each only the newest is good, and an older one that comes again ends the family.
CREATE TABLE refresh_family (
    family     TEXT    NOT NULL PRIMARY KEY,
    tenant_id  INTEGER NOT NULL,
    user_id    TEXT    NOT NULL,
    app_id     TEXT    NOT NULL,
    asked      TEXT    NOT NULL,                  -- JSON of identity.sign_in.Wanted
    token_hash TEXT    NOT NULL,                  -- of the newest
    opened     INTEGER NOT NULL,
    used       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_family_by_used ON refresh_family (used);
