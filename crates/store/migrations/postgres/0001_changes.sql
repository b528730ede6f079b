-- What was changed, in the order in which it took effect: other nodes follow it.
CREATE TABLE change_counters (
    topic TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);

CREATE TABLE changes (
    topic TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    moment BIGINT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (topic, sequence)
);
