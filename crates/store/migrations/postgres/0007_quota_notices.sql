-- Thresholds of quotas that somebody reached and that a webhook is yet to be told of.
CREATE TABLE quota_notices (
    id TEXT NOT NULL PRIMARY KEY,
    quota TEXT NOT NULL,
    holder TEXT NOT NULL,
    percent BIGINT NOT NULL,
    moment BIGINT NOT NULL,
    -- When it is to be sent (again), and how often that was tried.
    due BIGINT NOT NULL,
    tries BIGINT NOT NULL
);

CREATE INDEX quota_notices_due ON quota_notices (due);
