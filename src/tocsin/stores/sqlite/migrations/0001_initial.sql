-- The first schema. Tenant first in every key that is looked up; times are ticks (100 ns since 1970).
-- Why the tables are cut this way: ADR 3 (versions and documents) and ADR 4 (memory of the correlation).

CREATE TABLE tenant (
    tenant_id      INTEGER PRIMARY KEY,
    guid           TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL UNIQUE,
    retention_days INTEGER,                       -- NULL: the setting
    last_change    INTEGER NOT NULL DEFAULT 0,    -- dense counter; the change feed's clock
    last_stamp     INTEGER NOT NULL DEFAULT 0,    -- greatest lastUpdateTime given out
    last_incident  INTEGER NOT NULL DEFAULT 0,
    last_alert     INTEGER NOT NULL DEFAULT 0,
    states_since   INTEGER NOT NULL DEFAULT 0,    -- states of earlier change numbers are purged
    removals_since INTEGER NOT NULL DEFAULT 0,    -- removals of earlier change numbers are forgotten
    created        INTEGER NOT NULL
) STRICT;

-- The current version of each incident: the narrow row that a list scans. change orders exactly like last_update.
CREATE TABLE incident (
    tenant_id      INTEGER NOT NULL,
    change         INTEGER NOT NULL,
    incident_id    INTEGER NOT NULL,
    last_update    INTEGER NOT NULL,
    created        INTEGER NOT NULL,
    status         INTEGER NOT NULL,
    severity       INTEGER NOT NULL,
    classification INTEGER NOT NULL,
    determination  INTEGER NOT NULL,
    assigned_to    TEXT,
    alert_count    INTEGER NOT NULL,
    document_id    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, change)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX incident_by_id ON incident (tenant_id, incident_id);
CREATE INDEX incident_by_update ON incident (tenant_id, last_update);

-- How many current versions lie in each block of 4,096 change numbers: a deep $skip walks blocks, not rows.
CREATE TABLE incident_block (
    tenant_id INTEGER NOT NULL,
    block     INTEGER NOT NULL,                   -- change / 4096
    live      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, block)
) STRICT, WITHOUT ROWID;

-- Versions that a later change replaced, kept a while for walks that began before it.
CREATE TABLE incident_superseded (
    tenant_id      INTEGER NOT NULL,
    superseded_by  INTEGER NOT NULL,
    change         INTEGER NOT NULL,
    incident_id    INTEGER NOT NULL,
    last_update    INTEGER NOT NULL,
    created        INTEGER NOT NULL,
    status         INTEGER NOT NULL,
    severity       INTEGER NOT NULL,
    classification INTEGER NOT NULL,
    determination  INTEGER NOT NULL,
    assigned_to    TEXT,
    alert_count    INTEGER NOT NULL,
    document_id    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, superseded_by, change)
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_superseded_by_change ON incident_superseded (tenant_id, change, superseded_by);

-- What retention took away, with a change number of its own, so that a change feed can tell.
CREATE TABLE incident_removed (
    tenant_id   INTEGER NOT NULL,
    change      INTEGER NOT NULL,
    incident_id INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, change)
) STRICT, WITHOUT ROWID;

-- What a version says, as ready JSON bytes (documents.py), and the facts that the correlation keeps of it.
CREATE TABLE incident_document (
    document_id INTEGER PRIMARY KEY,
    tenant_id   INTEGER NOT NULL,
    header      BLOB    NOT NULL,
    facts       BLOB    NOT NULL
) STRICT;

-- Incidents that retention removed and whose alerts are not all deleted yet.
CREATE TABLE incident_orphaned (
    tenant_id   INTEGER NOT NULL,
    incident_id INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incident_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert (
    tenant_id     INTEGER NOT NULL,
    alert_number  INTEGER NOT NULL,
    change        INTEGER NOT NULL,
    superseded_by INTEGER,                        -- NULL: current
    incident_id   INTEGER NOT NULL,
    document_id   INTEGER NOT NULL,
    sender        TEXT    NOT NULL,
    identity      TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, alert_number, change)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_by_incident ON alert (tenant_id, incident_id, alert_number, change, superseded_by, document_id);
-- A re-sent alert is the same alert, and the database itself says so.
CREATE UNIQUE INDEX alert_once ON alert (tenant_id, sender, identity) WHERE superseded_by IS NULL;
CREATE INDEX alert_superseded ON alert (tenant_id, superseded_by) WHERE superseded_by IS NOT NULL;

CREATE TABLE alert_document (
    document_id INTEGER PRIMARY KEY,
    tenant_id   INTEGER NOT NULL,
    document    BLOB    NOT NULL,
    rest        BLOB    NOT NULL                  -- what the sender told and the API has no word for
) STRICT;

-- Why an alert joined (merged_incident 0) and why another incident was merged when it came.
CREATE TABLE link (
    tenant_id       INTEGER NOT NULL,
    alert_number    INTEGER NOT NULL,
    merged_incident INTEGER NOT NULL,
    incident_id     INTEGER NOT NULL,
    earlier_alert   INTEGER NOT NULL,
    change          INTEGER NOT NULL,
    score           REAL    NOT NULL,
    evidence        BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, alert_number, merged_incident)
) STRICT, WITHOUT ROWID;

-- Append-only: one row for each change number. Who did what to which incident, why and when.
CREATE TABLE change_log (
    tenant_id   INTEGER NOT NULL,
    change      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    incident_id INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, change)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_log_by_incident ON change_log (tenant_id, incident_id);

-- What the correlation remembers of each entity; journal rows are newer than the table until they are folded in.
CREATE TABLE entity_memory (
    tenant_id  INTEGER NOT NULL,
    entity_key INTEGER NOT NULL,
    touched    INTEGER NOT NULL,                      -- ticks of the write, not of the event
    memory     BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, entity_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE entity_journal (
    journal_id INTEGER PRIMARY KEY,
    tenant_id  INTEGER NOT NULL,
    memories   BLOB    NOT NULL
) STRICT;

-- Input that could not be read, kept as it came until it is sent again or retention takes it.
CREATE TABLE refused (
    refused_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id   INTEGER NOT NULL,
    received    INTEGER NOT NULL,
    sender      TEXT    NOT NULL,
    line        INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    body        BLOB    NOT NULL
) STRICT;
CREATE INDEX refused_by_tenant ON refused (tenant_id, refused_id);

CREATE TABLE application (
    tenant_id   INTEGER NOT NULL,
    app_id      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    secret_hash TEXT    NOT NULL,
    permissions TEXT    NOT NULL,                 -- JSON array of Permission values
    created     INTEGER NOT NULL,
    disabled    INTEGER,                          -- since when
    PRIMARY KEY (tenant_id, app_id),
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE ingest_key (
    key_id    TEXT    PRIMARY KEY,                -- public half; the key itself names it before its tenant is known
    tenant_id INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    key_hash  TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    disabled  INTEGER
) STRICT, WITHOUT ROWID;
