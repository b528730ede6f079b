-- Tokens that are refused before they end.
CREATE TABLE revocations (
    id TEXT NOT NULL PRIMARY KEY,
    -- token (jti), subject, session (sid), or everything that an issuer gave out.
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    issuer TEXT,
    issued_before BIGINT,
    until BIGINT NOT NULL,
    note TEXT,
    actor TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE INDEX revocations_until ON revocations (until);
