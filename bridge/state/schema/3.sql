-- Watermarks of a message (JSON, see flow/planner/watermarks.py).
ALTER TABLE messages ADD COLUMN watch TEXT NOT NULL DEFAULT '';

-- The sum of what rose or fell of order totals: what Listrak's revenue is held against.
ALTER TABLE event_counts ADD COLUMN amount REAL NOT NULL DEFAULT 0;
UPDATE event_counts SET amount =
    (SELECT total(order_total) FROM totals WHERE totals.message = event_counts.message)
    WHERE event = 'Email Converted';

-- Of a message's first look: 1 for keys of what was from before the start horizon, and not sent.
ALTER TABLE runs ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0;

-- Likewise, how much of the order total and of the clicks was not sent.
ALTER TABLE totals ADD COLUMN withheld REAL NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN withheld_clicks INTEGER NOT NULL DEFAULT 0;

-- A backfill of a list's history from since up to before (instants), the latest one of each list.
CREATE TABLE backfills (
    list_id     INTEGER PRIMARY KEY,
    since       TEXT NOT NULL,
    before      TEXT NOT NULL,
    listed      INTEGER NOT NULL DEFAULT 0,  -- 1 once its messages are queued
    finished    INTEGER NOT NULL DEFAULT 0,
    left_out    INTEGER NOT NULL DEFAULT 0,  -- messages that were tracked and are no longer
    messages    INTEGER NOT NULL DEFAULT 0,  -- of those queued, how many were read
    sent        INTEGER NOT NULL DEFAULT 0   -- events
) STRICT;

-- Messages that a backfill has yet to read. Part: "withheld" of what is tracked, or the "old".
CREATE TABLE backfill_messages (
    id              INTEGER PRIMARY KEY,
    list_id         INTEGER NOT NULL,
    part            TEXT NOT NULL CHECK (part IN ('withheld', 'old')),
    tracked         INTEGER NOT NULL,        -- the row of messages, 0 for one that isn't tracked
    kind            TEXT NOT NULL,
    message_id      INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    campaign_id     INTEGER NOT NULL,
    sent_at         TEXT NOT NULL,
    properties      TEXT,
    position        TEXT NOT NULL DEFAULT '[]'
) STRICT;
