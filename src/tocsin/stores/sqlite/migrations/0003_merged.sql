-- What a merge took, so that it can be undone exactly: replaced versions are purged within the hour, this stays as
-- long as the husk. into_* is how the incident was that took the alerts, NULL where the same moment opened it.

CREATE TABLE incident_merged (
    tenant_id   INTEGER NOT NULL,
    incident_id INTEGER NOT NULL,                 -- the husk
    change      INTEGER NOT NULL,
    into_id     INTEGER NOT NULL,
    header      BLOB    NOT NULL,
    facts       BLOB    NOT NULL,
    alerts      TEXT    NOT NULL,                 -- JSON array of the alert numbers that moved
    into_header BLOB,
    into_facts  BLOB,
    PRIMARY KEY (tenant_id, incident_id)
) STRICT, WITHOUT ROWID;
