-- Version 2: what tenants look after themselves with. It only adds, so that servers of version 1 go on meanwhile.

CREATE TABLE config_version (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX config_version_owner ON config_version (owner, id);

-- Where events go is one of the settings now.
UPDATE tenant SET body = json_set(body, '$.settings.webhookConfig', json_object('url', body ->> '$.webhook_url'))
WHERE body ->> '$.webhook_url' IS NOT NULL;

CREATE TABLE audit_head (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX audit_head_expires ON audit_head (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE visit (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, due_at INTEGER, lease BLOB, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX visit_owner ON visit (owner, id);
CREATE INDEX visit_due ON visit (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE visitors (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX visitors_expires ON visitors (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE recent_errors (
    tenant BLOB NOT NULL, id BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;

CREATE TABLE storage_use (
    tenant BLOB NOT NULL, id BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
