-- Format 5: nothing damaged is read unnoticed, and what fails is set aside by itself.

-- Counts that Listrak had sent below 0, and that older versions took over.
UPDATE totals SET clicks = max(clicks, 0), withheld_clicks = max(withheld_clicks, 0),
    unwanted_clicks = max(unwanted_clicks, 0)
    WHERE min(clicks, withheld_clicks, unwanted_clicks) < 0;
UPDATE event_counts SET seen = max(seen, 0), unsent = max(unsent, 0) WHERE min(seen, unsent) < 0;
UPDATE counters SET value = 0 WHERE value < 0;

-- Every table has a column more, the checksum of each row, and the table `checksums` has those of
-- whole tables: state/checksums.py.
