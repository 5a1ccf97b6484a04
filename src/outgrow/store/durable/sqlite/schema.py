"""The tables of an SQLite file of durable work, version by version.

A version that was released is never changed; a change is a new version. Each is applied in one
transaction, forwards only.
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE worker (
    id BLOB PRIMARY KEY, epoch INTEGER NOT NULL, name TEXT NOT NULL, beat INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE received (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE shape (
    name TEXT NOT NULL, schema TEXT NOT NULL, described BLOB NOT NULL, PRIMARY KEY (name, schema)
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    rank INTEGER NOT NULL,
    place INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    attempts_max INTEGER NOT NULL,
    enqueued_ms INTEGER NOT NULL,
    run_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    started_ms INTEGER,
    timeout_ms INTEGER,
    unique_key TEXT,
    key TEXT,
    key_slots INTEGER,
    key_slot INTEGER,
    queue_slot INTEGER,
    worker BLOB,
    epoch INTEGER,
    is_cancelled INTEGER NOT NULL DEFAULT 0,
    schema TEXT NOT NULL,
    body BLOB NOT NULL,
    headers BLOB,
    progress BLOB,
    failure BLOB
) STRICT;
CREATE INDEX job_ready ON job (queue, rank, place) WHERE state = 0;
CREATE INDEX job_running ON job (worker, epoch) WHERE state = 1;
CREATE INDEX job_held ON job (queue, key, rank, place) WHERE state = 2;
CREATE INDEX job_later ON job (run_at_ms) WHERE state = 3;
CREATE INDEX job_expiry ON job (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE UNIQUE INDEX job_unique ON job (unique_key) WHERE unique_key IS NOT NULL;
CREATE UNIQUE INDEX job_key_slot ON job (queue, key, key_slot) WHERE key_slot IS NOT NULL;
CREATE UNIQUE INDEX job_queue_slot ON job (queue, queue_slot) WHERE queue_slot IS NOT NULL;

CREATE TABLE job_done (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    key TEXT,
    enqueued_ms INTEGER NOT NULL,
    started_ms INTEGER,
    finished_ms INTEGER NOT NULL,
    result BLOB,
    failure BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX job_done_age ON job_done (finished_ms);

CREATE TABLE unique_mark (
    unique_key TEXT PRIMARY KEY, id BLOB NOT NULL, until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE step (
    id BLOB NOT NULL, name TEXT NOT NULL, result BLOB NOT NULL, PRIMARY KEY (id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE queue (
    name TEXT PRIMARY KEY,
    is_paused INTEGER NOT NULL DEFAULT 0,
    slots INTEGER,
    rate_count INTEGER,
    rate_per_ms INTEGER,
    rate_burst INTEGER,
    tokens REAL NOT NULL DEFAULT 0,
    refilled_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE schedule (
    name TEXT PRIMARY KEY, last_tick_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE head (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE message (
    number INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    id BLOB NOT NULL,
    key TEXT,
    schema TEXT NOT NULL,
    appended_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    headers BLOB,
    UNIQUE (topic, partition, offset)
) STRICT;
CREATE INDEX message_age ON message (topic, appended_ms);
CREATE TABLE subscription (
    name TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    attempts_max INTEGER NOT NULL,
    is_paused INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE cursor (
    subscription TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    worker BLOB,
    epoch INTEGER,
    PRIMARY KEY (subscription, partition)
) STRICT, WITHOUT ROWID;
CREATE INDEX cursor_held ON cursor (worker, epoch) WHERE worker IS NOT NULL;
CREATE TABLE parked (
    subscription TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    key TEXT,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    worker BLOB,
    epoch INTEGER,
    failure BLOB,
    PRIMARY KEY (subscription, partition, offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX parked_key ON parked (subscription, partition, key, offset) WHERE key IS NOT NULL;
CREATE INDEX parked_due ON parked (subscription, due_ms) WHERE state = 0;
CREATE INDEX parked_running ON parked (worker, epoch) WHERE state = 1;
CREATE INDEX parked_replayed ON parked (subscription, partition) WHERE state = 3;

CREATE TABLE dead (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    died_ms INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    failure BLOB NOT NULL,
    copy BLOB NOT NULL
) STRICT;
CREATE INDEX dead_group ON dead (fingerprint, number, died_ms);
CREATE INDEX dead_id ON dead (id);
"""

# A move to another store: from here, begun or over; none where nothing moves.
_MOVING = """
CREATE TABLE moving (
    id BLOB PRIMARY KEY, state TEXT NOT NULL, other TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

VERSIONS: tuple[str, ...] = (_FIRST, _MOVING)
"""What brings the tables from the version before to each version, from 1 on."""
