-- What alerts are about, in the terms that exposure is granted in: workloads and devices (ADR 7).

CREATE TABLE workload (
    workload_no INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE           -- access.workload_of
) STRICT;

-- What is known last of each device, and the group that it is in for it. device_no 0 stands for "no device".
CREATE TABLE device (
    tenant_id INTEGER NOT NULL,
    device_no INTEGER NOT NULL,
    device_id TEXT    NOT NULL,
    group_id  INTEGER NOT NULL,
    facts     TEXT    NOT NULL,                   -- JSON of exposure.DeviceFacts
    PRIMARY KEY (tenant_id, device_no),
    UNIQUE (tenant_id, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_by_group ON device (tenant_id, group_id, device_no);

-- One row for each device of an alert, or one with device_no 0.
CREATE TABLE alert_device (
    tenant_id    INTEGER NOT NULL,
    alert_number INTEGER NOT NULL,
    device_no    INTEGER NOT NULL,
    workload_no  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, alert_number, device_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_device_by_device ON alert_device (tenant_id, device_no, workload_no, alert_number);

-- Where to look for the alerts of a workload, device by device: pairs that some alert had, perhaps none has now.
CREATE TABLE device_workload (
    tenant_id   INTEGER NOT NULL,
    workload_no INTEGER NOT NULL,
    device_no   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, workload_no, device_no)
) STRICT, WITHOUT ROWID;

-- The alerts that a husk lost, as incident_merged says, one by one: who may see one of them sees where it went.
CREATE TABLE husk_alert (
    tenant_id    INTEGER NOT NULL,
    incident_id  INTEGER NOT NULL,
    alert_number INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incident_id, alert_number)
) STRICT, WITHOUT ROWID;
CREATE INDEX husk_alert_by_number ON husk_alert (tenant_id, alert_number, incident_id);

-- What incidents that retention took were about when they went; group_id -1 stands for "no device".
CREATE TABLE removed_exposure (
    tenant_id   INTEGER NOT NULL,
    change      INTEGER NOT NULL,
    group_id    INTEGER NOT NULL,
    workload_no INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, change, group_id, workload_no)
) STRICT, WITHOUT ROWID;

-- Alerts are deleted in several places; what finds them must never stay behind, nor a device that none is left of.
CREATE TRIGGER alert_device_follows AFTER DELETE ON alert
WHEN NOT EXISTS (SELECT 1 FROM alert WHERE tenant_id = old.tenant_id AND alert_number = old.alert_number)
BEGIN
    DELETE FROM alert_device WHERE tenant_id = old.tenant_id AND alert_number = old.alert_number;
END;
CREATE TRIGGER device_follows AFTER DELETE ON alert_device
WHEN old.device_no <> 0
    AND NOT EXISTS (SELECT 1 FROM alert_device WHERE tenant_id = old.tenant_id AND device_no = old.device_no)
BEGIN
    DELETE FROM device_workload WHERE tenant_id = old.tenant_id AND device_no = old.device_no
        AND workload_no IN (SELECT workload_no FROM workload);
    DELETE FROM device WHERE tenant_id = old.tenant_id AND device_no = old.device_no;
END;
CREATE TRIGGER husk_alert_comes AFTER INSERT ON incident_merged BEGIN
    DELETE FROM husk_alert WHERE tenant_id = new.tenant_id AND incident_id = new.incident_id;
    INSERT INTO husk_alert
    SELECT new.tenant_id, new.incident_id, value FROM json_each(new.alerts) WHERE value IS NOT NULL;
END;
CREATE TRIGGER husk_alert_goes AFTER DELETE ON incident_merged BEGIN
    DELETE FROM husk_alert WHERE tenant_id = old.tenant_id AND incident_id = old.incident_id;
END;
CREATE TRIGGER removed_exposure_comes AFTER INSERT ON incident_removed BEGIN
    INSERT OR IGNORE INTO removed_exposure
    SELECT new.tenant_id, new.change, iif(device_no = 0, -1, coalesce((SELECT group_id FROM device
        WHERE tenant_id = new.tenant_id AND device.device_no = about.device_no), 0)), workload_no
    FROM (SELECT alert_number FROM alert INDEXED BY alert_by_incident
          WHERE tenant_id = new.tenant_id AND incident_id = new.incident_id AND superseded_by IS NULL
          UNION SELECT alert_number FROM husk_alert
          WHERE tenant_id = new.tenant_id AND incident_id = new.incident_id) AS own
    CROSS JOIN alert_device AS about ON about.tenant_id = new.tenant_id AND about.alert_number = own.alert_number;
END;
CREATE TRIGGER removed_exposure_goes AFTER DELETE ON incident_removed BEGIN
    DELETE FROM removed_exposure WHERE tenant_id = old.tenant_id AND change = old.change;
END;

-- What is stored already is read off its documents, so that nobody loses sight of it. There are no groups yet.
INSERT INTO workload (name)
SELECT DISTINCT replace(lower(json_extract(CAST(document AS TEXT), '$.serviceSource')), ' ', '')
FROM alert CROSS JOIN alert_document USING (document_id) WHERE superseded_by IS NULL ORDER BY 1;

INSERT INTO device (tenant_id, device_no, device_id, group_id, facts)
SELECT tenant_id, row_number() OVER (PARTITION BY tenant_id ORDER BY device_id), device_id, 0, json_object(
    'name', name, 'domain', iif(name GLOB '*[a-z]*.*' AND name NOT LIKE '%:%', substr(name, instr(name, '.') + 1), ''),
    'os', iif(os IN ('other', 'unknown'), '', os), 'tags', json(tags))
FROM (
    SELECT alert.tenant_id AS tenant_id, lower(json_extract(each.value, '$.mdatpDeviceId')) AS device_id,
        max(alert_number),
        rtrim(lower(trim(coalesce(json_extract(each.value, '$.deviceDnsName'), ''))), '.') AS name,
        lower(replace(coalesce(json_extract(each.value, '$.osPlatform'), ''), ' ', '')) AS os,
        (SELECT json_group_array(lower(trim(tag.value)))
         FROM json_each(each.value, '$.tags') AS tag WHERE tag.value IS NOT NULL) AS tags
    FROM alert CROSS JOIN alert_document USING (document_id)
    CROSS JOIN json_each(CAST(document AS TEXT), '$.devices') AS each
    WHERE superseded_by IS NULL GROUP BY 1, 2
);

INSERT OR IGNORE INTO alert_device (tenant_id, alert_number, device_no, workload_no)
SELECT alert.tenant_id, alert_number, coalesce(device_no, 0), workload_no
FROM alert CROSS JOIN alert_document USING (document_id)
CROSS JOIN workload ON name = replace(lower(json_extract(CAST(document AS TEXT), '$.serviceSource')), ' ', '')
LEFT JOIN json_each(CAST(document AS TEXT), '$.devices') AS each
LEFT JOIN device ON device.tenant_id = alert.tenant_id AND device_id = lower(json_extract(each.value, '$.mdatpDeviceId'))
WHERE superseded_by IS NULL;

INSERT INTO device_workload SELECT DISTINCT tenant_id, workload_no, device_no FROM alert_device;

INSERT INTO husk_alert
SELECT tenant_id, incident_id, each.value FROM incident_merged CROSS JOIN json_each(alerts) AS each;
