-- What is remembered of a message between its looks (JSON, see flow/scans/watch.py).
ALTER TABLE messages ADD COLUMN watch TEXT NOT NULL DEFAULT '';

-- The sum of what rose or fell of order totals: what Listrak's revenue is held against.
ALTER TABLE event_counts ADD COLUMN amount REAL NOT NULL DEFAULT 0;
UPDATE event_counts SET amount =
    (SELECT total(order_total) FROM totals WHERE totals.message = event_counts.message)
    WHERE event = 'Email Converted';
