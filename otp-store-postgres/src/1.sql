-- Version 1. What a record consists of is its body; the other columns are what it is found by.
--
-- The tenant leads every primary key and stands in every unique index, so that the tables can be distributed by tenant. The
-- indexes of owner and alias begin with those: whoever reads by them does not always know the tenant (docs/adr/0009).
-- Pages keep some room, so that a row that is updated can stay on its page and its indexes as they are.

CREATE TABLE "tenant" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX tenant_owner ON "tenant" (owner, id);

CREATE TABLE "api_key" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, alias bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX api_key_owner ON "api_key" (owner, id);
CREATE UNIQUE INDEX api_key_alias ON "api_key" (alias, tenant);

CREATE TABLE "key_use" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX key_use_owner ON "key_use" (owner, id);

CREATE TABLE "signing_key" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX signing_key_owner ON "signing_key" (owner, id);
CREATE INDEX signing_key_expires ON "signing_key" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "recipient" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX recipient_expires ON "recipient" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "challenge" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX challenge_owner ON "challenge" (owner, id);
CREATE INDEX challenge_expires ON "challenge" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "user" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, alias bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX user_owner ON "user" (owner, id);
CREATE UNIQUE INDEX user_alias ON "user" (alias, tenant);

CREATE TABLE "session" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX session_owner ON "session" (owner, id);
CREATE INDEX session_expires ON "session" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "message" (
    tenant bytea NOT NULL, id bytea NOT NULL, due_at bigint, lease bytea, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX message_due ON "message" (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX message_expires ON "message" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "event" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX event_owner ON "event" (owner, id);
CREATE INDEX event_expires ON "event" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "audit" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX audit_owner ON "audit" (owner, id);
CREATE INDEX audit_expires ON "audit" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "reply" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX reply_expires ON "reply" (expires_at) WHERE expires_at IS NOT NULL;

-- A key is what follows the tenant in the counter's own form. Rows are small and change often.
CREATE TABLE counter (
    tenant bytea NOT NULL, key bytea NOT NULL, value bigint NOT NULL, expires_at bigint,
    PRIMARY KEY (tenant, key)
) WITH (fillfactor = 50);
CREATE INDEX counter_expires ON counter (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE meta (name text COLLATE "C" NOT NULL PRIMARY KEY, value bytea NOT NULL);
