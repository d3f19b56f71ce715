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

-- Messages are listed by their space.
ALTER TABLE message ADD COLUMN owner BLOB;
UPDATE message SET owner = CAST(tenant || CASE json_extract(body, '$.space.mode') WHEN 'live' THEN x'6c' ELSE x'74' END AS BLOB);
CREATE INDEX message_owner ON message (owner, id);

-- Replies about somebody are found by the subject. Those of before go within a day.
ALTER TABLE reply ADD COLUMN owner BLOB;
CREATE INDEX reply_owner ON reply (owner, id);

-- Events about somebody are found by the subject, which stands in the body in base64, without its padding: 43 digits. Four
-- of them are three bytes.
UPDATE event SET owner = (
    WITH RECURSIVE
    subject (digits) AS (VALUES (json_extract(event.body, '$.person.subject') || 'A')),
    decoded (place, hex) AS (
        SELECT 1, ''
        UNION ALL
        SELECT place + 4, hex || printf('%06x',
            (instr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', substr(digits, place, 1)) - 1) * 262144
            + (instr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', substr(digits, place + 1, 1)) - 1) * 4096
            + (instr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', substr(digits, place + 2, 1)) - 1) * 64
            + instr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', substr(digits, place + 3, 1)) - 1)
        FROM decoded, subject WHERE place < 45)
    SELECT unhex(substr(hex, 1, 64)) FROM decoded WHERE place = 45)
WHERE length(json_extract(body, '$.person.subject')) = 43;

-- An event that tells of a request names its message; the two were written at the same moment.
CREATE INDEX message_told ON message (json_extract(body, '$.subject'), json_extract(body, '$.created_at'));
UPDATE event SET body = json_set(body, '$.data.data.messageId', (
    SELECT json_extract(message.body, '$.id') FROM message
    WHERE json_extract(message.body, '$.subject') = json_extract(event.body, '$.person.subject')
    AND json_extract(message.body, '$.created_at') = json_extract(event.body, '$.at')))
WHERE json_extract(body, '$.data.kind') = 'otp.requested';
DROP INDEX message_told;

CREATE TABLE domain (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, due_at INTEGER, lease BLOB, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX domain_owner ON domain (owner, id);
CREATE INDEX domain_due ON domain (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX domain_expires ON domain (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE signup (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX signup_expires ON signup (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE signup_token (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX signup_token_expires ON signup_token (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE member (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, alias BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX member_owner ON member (owner, id);
CREATE UNIQUE INDEX member_alias ON member (alias);

-- Keys that are dead go 90 days later, so that their customer can make new ones.
ALTER TABLE api_key ADD COLUMN expires_at INTEGER;
UPDATE api_key SET expires_at = 7776000000 + COALESCE(body ->> '$.state.revoked.at', MIN(
    COALESCE(body ->> '$.expires_at', body ->> '$.state.rotated.until'),
    COALESCE(body ->> '$.state.rotated.until', body ->> '$.expires_at')));
CREATE INDEX api_key_expires ON api_key (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE endpoint (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX endpoint_owner ON endpoint (owner, id);

CREATE TABLE delivery (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, due_at INTEGER, lease BLOB, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX delivery_owner ON delivery (owner, id);
CREATE INDEX delivery_due ON delivery (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_expires ON delivery (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE message_report (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX message_report_expires ON message_report (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE suppression (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX suppression_owner ON suppression (owner, id);
CREATE INDEX suppression_expires ON suppression (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE totp_device (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX totp_device_expires ON totp_device (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE trusted_device (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, alias BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX trusted_device_owner ON trusted_device (owner, id);
CREATE UNIQUE INDEX trusted_device_alias ON trusted_device (alias);
CREATE INDEX trusted_device_expires ON trusted_device (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE pending_sign_in (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX pending_sign_in_owner ON pending_sign_in (owner, id);
CREATE INDEX pending_sign_in_expires ON pending_sign_in (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE member_code (
    tenant BLOB NOT NULL, id BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX member_code_expires ON member_code (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE member_session (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, alias BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX member_session_owner ON member_session (owner, id);
CREATE UNIQUE INDEX member_session_alias ON member_session (alias);
CREATE INDEX member_session_expires ON member_session (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE membership (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX membership_owner ON membership (owner, id);

CREATE TABLE seat (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX seat_owner ON seat (owner, id);

CREATE TABLE invitation (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, alias BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX invitation_owner ON invitation (owner, id);
CREATE UNIQUE INDEX invitation_alias ON invitation (alias);
CREATE INDEX invitation_expires ON invitation (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE provider (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX provider_owner ON provider (owner, id);

CREATE TABLE member_sign_in (
    tenant BLOB NOT NULL, id BLOB NOT NULL, owner BLOB NOT NULL, expires_at INTEGER, body TEXT NOT NULL,
    PRIMARY KEY (id, tenant)
) STRICT;
CREATE INDEX member_sign_in_owner ON member_sign_in (owner, id);
CREATE INDEX member_sign_in_expires ON member_sign_in (expires_at) WHERE expires_at IS NOT NULL;

-- An event waits until it was told: in a tree of its own, so that its row is not written anew when it is claimed and when it
-- leaves. Its row goes on saying where it was put; where it stands, and whether it still does, is for the tree to say.
ALTER TABLE event ADD COLUMN due_at INTEGER;
ALTER TABLE event ADD COLUMN lease BLOB;
CREATE TABLE event_waits (event INTEGER PRIMARY KEY, due_at INTEGER NOT NULL, lease BLOB) STRICT;
CREATE INDEX event_waits_due ON event_waits (due_at);
CREATE TRIGGER event_begins AFTER INSERT ON event WHEN new.due_at IS NOT NULL BEGIN
    INSERT INTO event_waits (event, due_at, lease) VALUES (new.rowid, new.due_at, new.lease);
END;
CREATE TRIGGER event_moves AFTER UPDATE OF due_at ON event BEGIN
    DELETE FROM event_waits WHERE event = old.rowid;
    INSERT INTO event_waits (event, due_at, lease) SELECT new.rowid, new.due_at, new.lease WHERE new.due_at IS NOT NULL;
END;
CREATE TRIGGER event_goes AFTER DELETE ON event WHEN old.due_at IS NOT NULL BEGIN
    DELETE FROM event_waits WHERE event = old.rowid;
END;
