-- Format 5: nothing damaged is read unnoticed, and what fails is set aside by itself.

-- A row of Listrak's that can't be read is one dead letter, however often it is seen.
CREATE INDEX dead_letters_by_message_id ON dead_letters (message_id);

-- Addresses, in lower case, that a list has more than once, in states that differ.
CREATE TABLE contact_twins (
    list_id INTEGER NOT NULL,
    email   TEXT NOT NULL,
    PRIMARY KEY (list_id, email)
) STRICT, WITHOUT ROWID;
