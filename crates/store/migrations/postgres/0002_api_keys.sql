-- API keys: of each a keyed hash, never the key.
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    method TEXT NOT NULL,
    hash BYTEA NOT NULL,
    -- The key before a rotation, and until when it holds beside the new one.
    previous_hash BYTEA,
    previous_until BIGINT,
    -- What is known of the holder, and where the key may be used, as JSON.
    details TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    last_used BIGINT
);
