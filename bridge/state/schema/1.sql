-- The state file. REAL times are seconds since 1970 as Listrak's clock counts them, unless said;
-- dates that Listrak wrote are kept as instants (TEXT, 2026-03-08T06:30:00.250Z).

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- What became of every event, for ever: fetched = delivered + known + filtered + dead_lettered
-- + what waits in outbox and unsubscribes.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE lists (
    list_id       INTEGER PRIMARY KEY,
    list_name     TEXT NOT NULL,
    discovered_at REAL,              -- start of the latest complete discovery of its messages
    contacts_at   REAL,              -- start of the latest complete look at its contacts
    swept_at      REAL               -- start of the latest complete sweep
) STRICT;

-- Every email that is tracked. Its text is taken over once, when it is first seen to be sent, so
-- that a repeated event is the identical event.
CREATE TABLE messages (
    id              INTEGER PRIMARY KEY,
    list_id         INTEGER NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('broadcast', 'conversation', 'transactional')),
    message_id      INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL DEFAULT 0,
    campaign_id     INTEGER NOT NULL DEFAULT 0,
    sent_at         TEXT NOT NULL DEFAULT '',   -- the message's own sendDate
    properties      TEXT,            -- JSON object of its event properties; NULL until it is sent
    found_at        REAL NOT NULL,
    looked_at       REAL,            -- start of the latest complete look
    moved_at        REAL,            -- start of the latest look that found anything
    summary         TEXT NOT NULL DEFAULT '',   -- counters read before the latest complete look
    retired         INTEGER NOT NULL DEFAULT 0,
    UNIQUE (list_id, kind, message_id)
) STRICT;

-- A look that has begun and isn't complete: where it goes on after a restart.
CREATE TABLE looks (
    message    INTEGER PRIMARY KEY REFERENCES messages (id),
    started_at REAL NOT NULL,
    summary    TEXT NOT NULL,
    position   TEXT NOT NULL
) STRICT;

-- What was reported of a message: runs of sorted 64-bit keys, little-endian. Runs of a bucket (a
-- week of sends; 0 for broadcast messages) are dropped together when no longer tracked.
CREATE TABLE runs (
    id      INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    bucket  INTEGER NOT NULL,
    keys    BLOB NOT NULL
) STRICT;
CREATE INDEX runs_by_message ON runs (message, bucket);

-- The few rows with an order total, or a click count without links: their last value, and how
-- many times it rose.
CREATE TABLE totals (
    message     INTEGER NOT NULL,
    key         INTEGER NOT NULL,    -- 64 bits of the row's identity, as a signed number
    bucket      INTEGER NOT NULL,
    order_total REAL NOT NULL,
    rises       INTEGER NOT NULL,
    clicks      INTEGER NOT NULL,
    PRIMARY KEY (message, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE contacts (
    list_id         INTEGER NOT NULL,
    email           TEXT NOT NULL,
    subscribed      INTEGER NOT NULL,
    user_id         TEXT,
    revision        INTEGER NOT NULL,  -- counts the changes sent, so that each has an id of its own
    unsubscribed_at TEXT NOT NULL DEFAULT '',  -- the latest unsubscribe date taken over
    PRIMARY KEY (list_id, email)
) STRICT, WITHOUT ROWID;

CREATE TABLE contact_looks (
    list_id    INTEGER PRIMARY KEY,
    sweep      INTEGER NOT NULL,
    started_at REAL NOT NULL,
    position   TEXT NOT NULL
) STRICT;

-- Whom a sweep has met so far: runs of sorted 64-bit keys of email addresses.
CREATE TABLE met (
    list_id INTEGER NOT NULL,
    seq     INTEGER PRIMARY KEY,
    keys    BLOB NOT NULL
) STRICT;
CREATE INDEX met_by_list ON met (list_id);

-- Unsubscribes seen, held until every message that may have caused them was asked.
CREATE TABLE unsubscribes (
    list_id  INTEGER NOT NULL,
    email    TEXT NOT NULL,
    date     TEXT NOT NULL,          -- as Listrak wrote it
    instant  TEXT NOT NULL,
    method   TEXT NOT NULL,
    noted_at REAL NOT NULL,          -- by this machine's clock
    PRIMARY KEY (list_id, email, date)
) STRICT, WITHOUT ROWID;

-- Which message a contact unsubscribed through; old: perhaps before the start horizon.
CREATE TABLE causes (
    list_id INTEGER NOT NULL,
    email   TEXT NOT NULL,
    message INTEGER NOT NULL,
    old     INTEGER NOT NULL,
    PRIMARY KEY (list_id, email)
) STRICT, WITHOUT ROWID;

-- Events that could not be made again the same way (they depend on what was known before), written
-- down before they are sent, a page of them a row: a gzipped JSON array.
CREATE TABLE outbox (
    id     INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,
    body   BLOB NOT NULL
) STRICT;

CREATE TABLE dead_letters (
    id         INTEGER PRIMARY KEY,
    at         REAL NOT NULL,
    event      TEXT NOT NULL,
    message_id TEXT NOT NULL,
    reason     TEXT NOT NULL,
    body       BLOB NOT NULL
) STRICT;
