-- Format 5: nothing damaged is read unnoticed, and what fails is set aside by itself.

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
