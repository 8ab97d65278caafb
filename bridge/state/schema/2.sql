-- What was seen of a message by event, what of it is not to be sent (from before the start horizon,
-- or not in BRIDGE_EVENTS), and what couldn't be sent.
CREATE TABLE event_counts (
    message INTEGER NOT NULL,
    event   TEXT NOT NULL,
    seen    INTEGER NOT NULL,
    unsent  INTEGER NOT NULL,
    dead    INTEGER NOT NULL,
    PRIMARY KEY (message, event)
) STRICT, WITHOUT ROWID;

-- 1 where somebody asked for a whole look, until one begins.
ALTER TABLE messages ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
