-- Tokens that are refused before they end.
CREATE TABLE revocations (
    id TEXT NOT NULL PRIMARY KEY,
    -- token (jti), subject, session (sid), or everything that an issuer gave out.
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    issuer TEXT,
    issued_before INTEGER,
    until INTEGER NOT NULL,
    note TEXT,
    actor TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revocations_until ON revocations (until);
