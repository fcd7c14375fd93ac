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
