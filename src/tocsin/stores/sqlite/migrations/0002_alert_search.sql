-- The narrow row that a list of alerts scans: one for each version of an alert, written with it and gone with it.
-- change orders exactly like last_update. Whether a version is current stands in `alert`.

CREATE TABLE alert_search (
    tenant_id      INTEGER NOT NULL,
    change         INTEGER NOT NULL,
    alert_number   INTEGER NOT NULL,
    last_update    INTEGER NOT NULL,
    created        INTEGER NOT NULL,
    status         INTEGER NOT NULL,
    severity       INTEGER NOT NULL,
    classification INTEGER NOT NULL,
    determination  INTEGER NOT NULL,
    service_source INTEGER NOT NULL,
    assigned_to    TEXT,
    PRIMARY KEY (tenant_id, change, alert_number)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_search_by_creation ON alert_search (tenant_id, created, alert_number);

-- Alerts are deleted in several places; what finds them must never stay behind.
CREATE TRIGGER alert_search_follows AFTER DELETE ON alert BEGIN
    DELETE FROM alert_search
    WHERE tenant_id = old.tenant_id AND change = old.change AND alert_number = old.alert_number;
END;
