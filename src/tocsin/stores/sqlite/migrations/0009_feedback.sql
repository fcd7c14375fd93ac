-- What people closed as benign: each finding (a rule on an asset) of each such incident. It lowers the priority of the
-- same finding elsewhere for as long as the closing stands.

CREATE TABLE benign (
    tenant_id   INTEGER NOT NULL,
    incident_id INTEGER NOT NULL,
    rule        INTEGER NOT NULL,                 -- key of the evidence, as asset
    asset       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incident_id, rule, asset)
) STRICT, WITHOUT ROWID;
CREATE INDEX benign_by_finding ON benign (tenant_id, rule, asset, incident_id);

-- What was said of an incident goes with it.
CREATE TRIGGER benign_follows AFTER INSERT ON incident_removed BEGIN
    DELETE FROM benign WHERE tenant_id = new.tenant_id AND incident_id = new.incident_id;
END;
