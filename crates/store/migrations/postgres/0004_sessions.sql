-- Sessions of people who logged in.
CREATE TABLE sessions (
    -- The beginning of a hash of what the browser has.
    id TEXT NOT NULL PRIMARY KEY,
    method TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- The name that the provider has for its session.
    sid TEXT,
    created BIGINT NOT NULL,
    idle_until BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    -- Counts renewals, and until when one is reserved.
    version BIGINT NOT NULL,
    renewal_until BIGINT NOT NULL,
    -- Claims and tokens, sealed.
    data BYTEA NOT NULL
);

CREATE INDEX sessions_subject ON sessions (method, subject);
CREATE INDEX sessions_sid ON sessions (method, sid);
CREATE INDEX sessions_ends ON sessions (ends);
CREATE INDEX sessions_idle ON sessions (idle_until);
