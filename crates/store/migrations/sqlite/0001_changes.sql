-- What was changed, in the order in which it took effect: other nodes follow it.
CREATE TABLE change_counters (
    topic TEXT NOT NULL PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (
    topic TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    moment INTEGER NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (topic, sequence)
) STRICT, WITHOUT ROWID;
