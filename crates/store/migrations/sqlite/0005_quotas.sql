-- How much of each quota was used, by holder and period.
CREATE TABLE quota_usage (
    quota TEXT NOT NULL,
    holder TEXT NOT NULL,
    -- When the period began.
    period INTEGER NOT NULL,
    used INTEGER NOT NULL,
    -- What was left over from the period before.
    carried INTEGER NOT NULL,
    -- The highest threshold, in percent, that was told of.
    warned INTEGER NOT NULL,
    -- When it was written last.
    moment INTEGER NOT NULL,
    PRIMARY KEY (quota, holder, period)
) STRICT, WITHOUT ROWID;

CREATE INDEX quota_periods ON quota_usage (quota, period);

-- The last batch that each gateway wrote: after a commit without an answer it tells whether it happened.
CREATE TABLE quota_writers (
    writer TEXT NOT NULL PRIMARY KEY,
    batch INTEGER NOT NULL,
    moment INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
