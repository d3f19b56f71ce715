-- Version 1. What a record consists of is its body; the other columns are what it is found by.
--
-- Ids come first in the primary keys: those that begin with a time then append at the right edge of the index, whether
-- there is one tenant or ten thousand. The tables have row ids, because bodies are large: in a table WITHOUT ROWID they
-- would stand in the tree that is searched by random ids, and every request would write twice as many bytes.

CREATE TABLE tenant (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX tenant_owner ON tenant (owner, id);

CREATE TABLE api_key (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, alias BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX api_key_owner ON api_key (owner, id);
CREATE UNIQUE INDEX api_key_alias ON api_key (alias);

CREATE TABLE key_use (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX key_use_owner ON key_use (owner, id);

CREATE TABLE signing_key (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX signing_key_owner ON signing_key (owner, id);
CREATE INDEX signing_key_expires ON signing_key (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE recipient (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX recipient_expires ON recipient (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE challenge (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX challenge_owner ON challenge (owner, id);
CREATE INDEX challenge_expires ON challenge (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE user (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, alias BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX user_owner ON user (owner, id);
CREATE UNIQUE INDEX user_alias ON user (alias);

CREATE TABLE session (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX session_owner ON session (owner, id);
CREATE INDEX session_expires ON session (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE message (
    tenant BLOB NOT NULL, id BLOB NOT NULL, due_at INTEGER, lease BLOB, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX message_due ON message (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX message_expires ON message (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE event (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX event_owner ON event (owner, id);
CREATE INDEX event_expires ON event (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE audit (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX audit_owner ON audit (owner, id);
CREATE INDEX audit_expires ON audit (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE reply (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX reply_expires ON reply (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE counter (
    key BLOB NOT NULL PRIMARY KEY, value INTEGER NOT NULL, expires_at INTEGER
) STRICT;
CREATE INDEX counter_expires ON counter (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
