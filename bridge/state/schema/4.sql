-- Format 4: what the service was last run with, and how far it has looked at each thing.

-- Ids of files from before this have no namespace. A new file gets one at its first start.
INSERT INTO meta SELECT 'namespace', '' WHERE EXISTS (SELECT 1 FROM meta);

-- The table file_mark comes before all steps: state/file_mark.py.

-- The start horizon (an instant) of each list by itself; '' until the list is first read.
ALTER TABLE lists ADD COLUMN horizon TEXT NOT NULL DEFAULT '';
UPDATE lists SET horizon = coalesce((SELECT value FROM meta WHERE name = 'since'), '');
-- The zone that it was fixed in: it divides Listrak's own texts, and another zone moves it along.
ALTER TABLE lists ADD COLUMN zone TEXT NOT NULL DEFAULT '';
-- Broadcasts sent before this instant were over when the list was first read; '' where that isn't
-- known.
ALTER TABLE lists ADD COLUMN tracked_from TEXT NOT NULL DEFAULT '';
-- The latest timestamp that an identify of the list carries (seconds since 1970).
ALTER TABLE lists ADD COLUMN identified_at REAL NOT NULL DEFAULT 0;
-- No contact that was forgotten had a revision above this: ids of new ones begin after it.
ALTER TABLE lists ADD COLUMN forgotten_revision INTEGER NOT NULL DEFAULT 0;
-- The latest instant of an unsubscribe that was withheld and is forgotten; '' for none.
ALTER TABLE lists ADD COLUMN unsubscribes_forgotten TEXT NOT NULL DEFAULT '';

-- Rows of a message in buckets below its floor are no longer looked at. It only rises, when a
-- complete poll has shown what they came to. NULL until the message is first polled.
ALTER TABLE messages ADD COLUMN floor INTEGER;
ALTER TABLE messages ADD COLUMN first_floor INTEGER;     -- that of its first poll
-- What is forgotten of older files isn't noted: no lower than the oldest bucket still remembered.
UPDATE messages SET floor = iif(kind = 'broadcast', 0, coalesce(
    (SELECT min(bucket) FROM (
        SELECT bucket FROM runs WHERE message = messages.id
        UNION ALL SELECT bucket FROM totals WHERE message = messages.id)
     WHERE bucket < 1 << 30),
    CAST((looked_at / 86400 + 719161) / 7 AS INTEGER)))
    WHERE looked_at IS NOT NULL;
-- The subject as it is now: NULL where no listing told it yet, '' where there is none.
ALTER TABLE messages ADD COLUMN subject TEXT;
-- When the message was last asked for by itself, which tells what no listing does.
ALTER TABLE messages ADD COLUMN described_at REAL;
-- 1 while events that carry `properties` may be on their way: another poll keeps them so long.
ALTER TABLE messages ADD COLUMN properties_used INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET properties_used = 1 WHERE id IN (SELECT message FROM looks);

-- Of runs, `withheld` is 2 for keys of events that were not in BRIDGE_EVENTS. Likewise of totals;
-- what a backfill has sent of it since is counted beside it.
ALTER TABLE totals ADD COLUMN unwanted REAL NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN unwanted_clicks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN unwanted_sent REAL NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN unwanted_clicks_sent INTEGER NOT NULL DEFAULT 0;
-- What of `amount` was not sent. Of older files only what was from before the horizon is known.
ALTER TABLE event_counts ADD COLUMN unsent_amount REAL NOT NULL DEFAULT 0;
UPDATE event_counts SET unsent_amount =
    (SELECT total(withheld) FROM totals WHERE totals.message = event_counts.message)
    WHERE event = 'Email Converted';

-- The list whose events they are, 0 for those that an older version journaled.
ALTER TABLE outbox ADD COLUMN list_id INTEGER NOT NULL DEFAULT 0;

-- Contacts are matched without regard to case.
CREATE TABLE contacts_4 (
    list_id         INTEGER NOT NULL,
    email           TEXT NOT NULL,     -- in lower case
    spelling        TEXT,              -- as it was last told; NULL where that is in lower case
    subscribed      INTEGER NOT NULL,
    user_id         TEXT,
    revision        INTEGER NOT NULL,  -- counts the changes sent, so that each has an id of its own
    unsubscribed_at TEXT NOT NULL DEFAULT '',  -- the latest unsubscribe date taken over: as Listrak
                                               -- wrote it, else in its way; an instant in rows of
                                               -- older versions
    deleted_at      REAL,              -- when the list was first seen without it
    PRIMARY KEY (list_id, email)
) STRICT, WITHOUT ROWID;
-- Of spellings that were told apart, the contact goes on as the one with the most changes: ids of
-- later ones are new, however it is spelled. Of two with as many, the subscribed one, as the next
-- sweep corrects it. Whichever was unsubscribed last, that is known.
INSERT INTO contacts_4
    SELECT list_id, lower_case(email), nullif(email, lower_case(email)), subscribed, user_id,
           revision, latest, NULL
    FROM (SELECT *, max(unsubscribed_at) OVER spellings AS latest,
                 row_number() OVER (spellings ORDER BY revision DESC, subscribed DESC, email) AS place
          FROM contacts
          WINDOW spellings AS (PARTITION BY list_id, lower_case(email)))
    WHERE place = 1;
DROP TABLE contacts;
ALTER TABLE contacts_4 RENAME TO contacts;
CREATE TABLE causes_4 (
    list_id  INTEGER NOT NULL,
    email    TEXT NOT NULL,          -- in lower case
    message  INTEGER NOT NULL,
    old      INTEGER NOT NULL,
    noted_at REAL NOT NULL,          -- by this machine's clock
    PRIMARY KEY (list_id, email)
) STRICT, WITHOUT ROWID;
-- Of two spellings, the one that isn't from before the horizon.
INSERT OR REPLACE INTO causes_4
    SELECT list_id, lower_case(email), message, old, 0 FROM causes ORDER BY old DESC;
DROP TABLE causes;
ALTER TABLE causes_4 RENAME TO causes;
-- Sweeps begin anew: whom they had met was noted with regard to case.
DELETE FROM contact_looks;
DELETE FROM met;

-- Unsubscribes that were not in BRIDGE_EVENTS when they would have been sent.
CREATE TABLE withheld_unsubscribes (
    list_id    INTEGER NOT NULL,
    email      TEXT NOT NULL,
    date       TEXT NOT NULL,
    instant    TEXT NOT NULL,
    method     TEXT NOT NULL,
    properties TEXT,                 -- JSON object of the message it came through, NULL for none
    PRIMARY KEY (list_id, email, date)
) STRICT, WITHOUT ROWID;

-- Telling all contacts of a list again: the latest run of each list.
CREATE TABLE identify_runs (
    list_id    INTEGER PRIMARY KEY,
    started_at REAL NOT NULL,
    position   TEXT NOT NULL,        -- cursor of the next page
    told       INTEGER NOT NULL DEFAULT 0,
    finished   INTEGER NOT NULL DEFAULT 0
) STRICT;
-- Contacts told since the run under way began, by it or by a poll: runs of keys of their addresses.
CREATE TABLE identified (
    list_id INTEGER NOT NULL,
    seq     INTEGER PRIMARY KEY,
    keys    BLOB NOT NULL
) STRICT;
CREATE INDEX identified_by_list ON identified (list_id);

-- What was erased of addresses, which are not named: the name of the file that requested it, when
-- (by this machine's clock), how many rows of what (JSON), and whether their bytes are overwritten.
CREATE TABLE erasures (
    request     TEXT PRIMARY KEY,
    at          REAL NOT NULL,
    removed     TEXT NOT NULL,
    overwritten INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Backfills are of two kinds: of the history before the start horizon, and of events that were
-- withheld by BRIDGE_EVENTS, from since on.
CREATE TABLE backfills_4 (
    list_id        INTEGER NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('history', 'events')),
    since          TEXT NOT NULL,
    before         TEXT NOT NULL,
    warehouse_only INTEGER NOT NULL DEFAULT 0,
    listed         INTEGER NOT NULL DEFAULT 0,
    finished       INTEGER NOT NULL DEFAULT 0,
    left_out       INTEGER NOT NULL DEFAULT 0,
    messages       INTEGER NOT NULL DEFAULT 0,
    sent           INTEGER NOT NULL DEFAULT 0,
    missing        INTEGER NOT NULL DEFAULT 0,   -- messages that Listrak doesn't have any more
    events         TEXT NOT NULL DEFAULT '',     -- names of those that it brings, a comma between
    dropped        TEXT NOT NULL DEFAULT '',     -- likewise, taken out of BRIDGE_EVENTS meanwhile
    PRIMARY KEY (list_id, kind)
) STRICT;
INSERT INTO backfills_4
    SELECT list_id, 'history', since, before, 0, listed, finished, left_out, messages, sent, 0,
           'Email Sent,Email Opened,Email Link Clicked,Email Bounced,Email Marked As Spam,'
           || 'Email Converted', ''
    FROM backfills;
-- The instant since when backfills have sent the history of a list, event by event; where there is
-- none, that is its start horizon.
CREATE TABLE backfilled (
    list_id INTEGER NOT NULL,
    event   TEXT NOT NULL,
    since   TEXT NOT NULL,
    PRIMARY KEY (list_id, event)
) STRICT, WITHOUT ROWID;
INSERT INTO backfilled
    SELECT list_id, value, iif(finished, since, before)
    FROM backfills, json_each('["Email Sent", "Email Opened", "Email Link Clicked",'
                              || '"Email Bounced", "Email Marked As Spam", "Email Converted"]');
DROP TABLE backfills;
ALTER TABLE backfills_4 RENAME TO backfills;
CREATE TABLE backfill_messages_4 (
    id              INTEGER PRIMARY KEY,
    list_id         INTEGER NOT NULL,
    part            TEXT NOT NULL CHECK (part IN ('withheld', 'old', 'unwanted')),
    tracked         INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    message_id      INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    campaign_id     INTEGER NOT NULL,
    sent_at         TEXT NOT NULL,
    properties      TEXT,
    position        TEXT NOT NULL DEFAULT '[]'
) STRICT;
INSERT INTO backfill_messages_4 SELECT * FROM backfill_messages;
DROP TABLE backfill_messages;
ALTER TABLE backfill_messages_4 RENAME TO backfill_messages;
