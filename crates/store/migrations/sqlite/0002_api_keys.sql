-- API keys: of each a keyed hash, never the key.
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    method TEXT NOT NULL,
    hash BLOB NOT NULL,
    -- The key before a rotation, and until when it holds beside the new one.
    previous_hash BLOB,
    previous_until INTEGER,
    -- What is known of the holder, and where the key may be used, as JSON.
    details TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    last_used INTEGER
) STRICT, WITHOUT ROWID;
