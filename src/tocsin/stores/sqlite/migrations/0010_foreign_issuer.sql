-- Issuers of others whose tokens are taken. One URL belongs to one tenant, so that a token can never be of two.

CREATE TABLE foreign_issuer (
    tenant_id INTEGER NOT NULL,
    name      TEXT    NOT NULL,                   -- for people, lower case
    issuer    TEXT    NOT NULL UNIQUE,            -- `iss` of its tokens, to the character
    document  TEXT    NOT NULL,                   -- JSON of identity.foreign.ForeignIssuer
    created   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
