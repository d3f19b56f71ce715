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

-- Messages are listed by their space. Here and below bodies are read as text: the database refuses to take JSON apart that
-- escapes a NUL anywhere.
ALTER TABLE "message" ADD COLUMN owner bytea;
UPDATE "message" SET owner = tenant || CASE
    WHEN position('"mode":"live"' IN body) > 0 THEN '\x6c'::bytea ELSE '\x74'::bytea END;
CREATE INDEX message_owner ON "message" (owner, id);

-- Replies about somebody are found by the subject. Those of before go within a day.
ALTER TABLE "reply" ADD COLUMN owner bytea;
CREATE INDEX reply_owner ON "reply" (owner, id);

-- Events about somebody are found by the subject, which stands in the body in base64 without its padding.
UPDATE "event" SET owner = decode(substring(body FROM '"person":\{"subject":"([A-Za-z0-9+/]{43})"') || '=', 'base64')
WHERE body ~ '"person":\{"subject":"[A-Za-z0-9+/]{43}"';

-- An event that tells of a request names its message; the two were written at the same moment.
UPDATE "event" AS e SET body = jsonb_set(e.body::jsonb, '{data,data,messageId}', to_jsonb(m.message))::text
FROM (
    SELECT tenant, substring(body FROM '"id":"(msg_[^"]*)"') AS message,
        substring(body FROM '"subject":"([^"]*)"') AS subject, substring(body FROM '"created_at":([0-9]+)') AS at
    FROM "message") AS m
WHERE e.body LIKE '%"kind":"otp.requested"%' AND m.tenant = e.tenant
AND m.subject = substring(e.body FROM '"person":\{"subject":"([^"]*)"') AND m.at = substring(e.body FROM '"at":([0-9]+)');

CREATE TABLE "domain" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, due_at bigint, lease bytea, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX domain_owner ON "domain" (owner, id);
CREATE INDEX domain_due ON "domain" (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX domain_expires ON "domain" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "signup" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX signup_expires ON "signup" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "signup_token" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX signup_token_expires ON "signup_token" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "member" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, alias bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX member_owner ON "member" (owner, id);
CREATE UNIQUE INDEX member_alias ON "member" (alias, tenant);

-- Keys that are dead go 90 days later, so that their customer can make new ones.
ALTER TABLE "api_key" ADD COLUMN expires_at bigint;
UPDATE "api_key" SET expires_at = 7776000000 + COALESCE((body::json #>> '{state,revoked,at}')::bigint, LEAST(
    (body::json ->> 'expires_at')::bigint, (body::json #>> '{state,rotated,until}')::bigint));
CREATE INDEX api_key_expires ON "api_key" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "endpoint" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX endpoint_owner ON "endpoint" (owner, id);

CREATE TABLE "delivery" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, due_at bigint, lease bytea, expires_at bigint,
    body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX delivery_owner ON "delivery" (owner, id);
CREATE INDEX delivery_due ON "delivery" (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_expires ON "delivery" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "message_report" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX message_report_expires ON "message_report" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "suppression" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX suppression_owner ON "suppression" (owner, id);
CREATE INDEX suppression_expires ON "suppression" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "totp_device" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX totp_device_expires ON "totp_device" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "trusted_device" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, alias bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX trusted_device_owner ON "trusted_device" (owner, id);
CREATE UNIQUE INDEX trusted_device_alias ON "trusted_device" (alias, tenant);
CREATE INDEX trusted_device_expires ON "trusted_device" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "pending_sign_in" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX pending_sign_in_owner ON "pending_sign_in" (owner, id);
CREATE INDEX pending_sign_in_expires ON "pending_sign_in" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "member_code" (
    tenant bytea NOT NULL, id bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX member_code_expires ON "member_code" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "member_session" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, alias bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX member_session_owner ON "member_session" (owner, id);
CREATE UNIQUE INDEX member_session_alias ON "member_session" (alias, tenant);
CREATE INDEX member_session_expires ON "member_session" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "membership" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX membership_owner ON "membership" (owner, id);

CREATE TABLE "seat" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX seat_owner ON "seat" (owner, id);

CREATE TABLE "invitation" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, alias bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX invitation_owner ON "invitation" (owner, id);
CREATE UNIQUE INDEX invitation_alias ON "invitation" (alias, tenant);
CREATE INDEX invitation_expires ON "invitation" (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE "provider" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX provider_owner ON "provider" (owner, id);

CREATE TABLE "member_sign_in" (
    tenant bytea NOT NULL, id bytea NOT NULL, owner bytea NOT NULL, expires_at bigint, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX member_sign_in_owner ON "member_sign_in" (owner, id);
CREATE INDEX member_sign_in_expires ON "member_sign_in" (expires_at) WHERE expires_at IS NOT NULL;

-- An event waits here until its deliveries are written down.
ALTER TABLE "event" ADD COLUMN due_at bigint;
ALTER TABLE "event" ADD COLUMN lease bytea;
CREATE INDEX event_due ON "event" (due_at) WHERE due_at IS NOT NULL;
