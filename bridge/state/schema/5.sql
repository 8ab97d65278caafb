-- Format 5: nothing damaged is read unnoticed, and what fails is set aside by itself.

-- How many transactions the file has seen; the trace beside it tells how many were on disk.
CREATE TABLE transactions (id INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT;
INSERT INTO transactions VALUES (1, 0);
-- Starts at which the file was found to have gone back to an older state.
CREATE TABLE reversals (
    id       INTEGER PRIMARY KEY,
    found_at REAL NOT NULL,          -- by this machine's clock
    behind   INTEGER,                -- transactions that are missing, NULL where that isn't known
    told     INTEGER NOT NULL DEFAULT 0  -- 1 once all contacts are being told again
) STRICT;
-- Changes of contacts get revisions above this: ids of a time that the file doesn't know have those
-- below.
ALTER TABLE lists ADD COLUMN revision_floor INTEGER NOT NULL DEFAULT 0;
-- 1: Segment fails on each of these events by itself, while it takes others. They are tried again
-- now and then, apart from all others.
ALTER TABLE outbox ADD COLUMN set_aside INTEGER NOT NULL DEFAULT 0;
-- Counts that Listrak had sent below 0, and that older versions took over.
UPDATE totals SET clicks = max(clicks, 0), withheld_clicks = max(withheld_clicks, 0),
    unwanted_clicks = max(unwanted_clicks, 0)
    WHERE min(clicks, withheld_clicks, unwanted_clicks) < 0;
UPDATE event_counts SET seen = max(seen, 0), unsent = max(unsent, 0) WHERE min(seen, unsent) < 0;
UPDATE counters SET value = 0 WHERE value < 0;
-- A row of Listrak's that can't be read is one dead letter, however often it is seen.
CREATE INDEX dead_letters_by_message_id ON dead_letters (message_id);

-- Addresses, in lower case, that a list has more than once, in states that differ.
CREATE TABLE contact_twins (
    list_id INTEGER NOT NULL,
    email   TEXT NOT NULL,
    PRIMARY KEY (list_id, email)
) STRICT, WITHOUT ROWID;

-- Parts of a list (a listing, a message, ...) that fail and are set aside, until they are read.
CREATE TABLE set_aside (
    list_id        INTEGER NOT NULL,
    kind           TEXT NOT NULL,
    subject        TEXT NOT NULL,        -- its id or path, '' for the only one of its kind
    since          REAL NOT NULL,
    reason         TEXT NOT NULL,        -- as last told, no address is in it; '' for what
                                         -- Listrak says it doesn't have
    complete_until REAL,                 -- start of its latest complete reading; NULL for none. Of
                                         -- a listing that is not set aside: lists.discovered_at
    PRIMARY KEY (list_id, kind, subject)
) STRICT, WITHOUT ROWID;

-- Every table has a column more, the checksum of each row, and the table `checksums` has those of
-- whole tables: state/checksums.py.
