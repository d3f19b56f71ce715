-- Version 2: what tenants look after themselves with. It only adds, so that servers of version 1 go on meanwhile.

CREATE TABLE "config_version" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX config_version_owner ON "config_version" (owner, id);

-- Where events go is one of the settings now.
UPDATE "tenant" SET body =
    jsonb_set(body::jsonb, '{settings,webhookConfig}', jsonb_build_object('url', body::jsonb -> 'webhook_url'))::text
WHERE body::jsonb ->> 'webhook_url' IS NOT NULL;

CREATE TABLE "audit_head" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX audit_head_expires ON "audit_head" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "visit" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, due_at bigint, lease bytea, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX visit_owner ON "visit" (owner, id);
CREATE INDEX visit_due ON "visit" (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE "visitors" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX visitors_expires ON "visitors" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "recent_errors" (
    tenant bytea NOT NULL, id bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);

CREATE TABLE "storage_use" (
    tenant bytea NOT NULL, id bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
