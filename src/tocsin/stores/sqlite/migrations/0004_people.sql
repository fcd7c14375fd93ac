-- People, what they are allowed, and what the issuer remembers of sign-ins.

CREATE TABLE user (
    tenant_id     INTEGER NOT NULL,
    user_id       TEXT    NOT NULL,               -- GUID
    name          TEXT    NOT NULL,               -- user principal name, lower case
    display_name  TEXT    NOT NULL,
    password_hash TEXT,                           -- argon2id; NULL: signs in with a foreign issuer only
    issuer        TEXT,                           -- of a foreign subject
    subject       TEXT,
    created       INTEGER NOT NULL,
    disabled      INTEGER,                        -- since when
    signed_out    INTEGER NOT NULL DEFAULT 0,     -- sessions and refresh tokens of before are void
    PRIMARY KEY (tenant_id, user_id),
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX user_by_subject ON user (tenant_id, issuer, subject) WHERE issuer IS NOT NULL;

-- What a role grants: rights (JSON array of read, manage, audit) over workloads and device groups; NULL: all of them.
CREATE TABLE role (
    tenant_id     INTEGER NOT NULL,
    role_id       INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    rights        TEXT    NOT NULL,
    workloads     TEXT,                           -- JSON array of text
    device_groups TEXT,                           -- JSON array of group_id; 0 is "ungrouped"
    PRIMARY KEY (tenant_id, role_id),
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_member (
    tenant_id INTEGER NOT NULL,
    user_id   TEXT    NOT NULL,
    role_id   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, role_id)
) STRICT, WITHOUT ROWID;

-- rank 1 is the highest: the first group whose rule matches a device has it.
CREATE TABLE device_group (
    tenant_id INTEGER NOT NULL,
    group_id  INTEGER NOT NULL,                   -- from 1, never given again; 0 is "ungrouped"
    name      TEXT    NOT NULL,
    rank      INTEGER NOT NULL,
    rule      TEXT    NOT NULL,                   -- JSON of exposure.DeviceRule
    PRIMARY KEY (tenant_id, group_id),
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;

-- version counts the changes of a tenant's groups; regrouped is the device_no up to which stored devices follow the
-- last one, NULL when all do.
CREATE TABLE device_group_state (
    tenant_id  INTEGER PRIMARY KEY,
    version    INTEGER NOT NULL,
    last_group INTEGER NOT NULL,
    regrouped  INTEGER
) STRICT;
