-- Format 5: nothing damaged is read unnoticed, and what fails is set aside by itself.

-- 1: Segment fails on each of these events by itself, while it takes others. They are tried again
-- now and then, apart from all others.
ALTER TABLE outbox ADD COLUMN set_aside INTEGER NOT NULL DEFAULT 0;
