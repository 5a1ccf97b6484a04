"""The tables of durable work in PostgreSQL, in the schema `outgrow`, version by version.

A version that was released is never changed; a change is a new version. Each is applied in one
transaction, forwards only. Unfinished jobs stand in one small table whose indexes are partial: each
holds only the jobs in one state, so that a job that waits costs those that run nothing.
"""

from __future__ import annotations

_FIRST = """
CREATE SEQUENCE outgrow.epoch;
CREATE SEQUENCE outgrow.place;
CREATE TABLE outgrow.worker (
    id uuid PRIMARY KEY, epoch bigint NOT NULL, name text NOT NULL, beat bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE outgrow.received (id uuid PRIMARY KEY);
CREATE TABLE outgrow.shape (
    name text NOT NULL, schema text NOT NULL, described bytea NOT NULL, PRIMARY KEY (name, schema)
);

CREATE TABLE outgrow.job (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    place bigint NOT NULL DEFAULT nextval('outgrow.place'),
    enqueued_ms bigint NOT NULL,
    run_at_ms bigint NOT NULL,
    expires_at_ms bigint,
    started_ms bigint,
    timeout_ms bigint,
    epoch bigint,
    id uuid NOT NULL,
    worker uuid,
    state smallint NOT NULL,
    rank smallint NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    attempts_max integer NOT NULL,
    key_slots integer,
    key_slot integer,
    queue_slot integer,
    is_cancelled boolean NOT NULL DEFAULT false,
    has_steps boolean NOT NULL DEFAULT false,
    kind text NOT NULL,
    queue text NOT NULL,
    unique_key text,
    key text,
    schema text NOT NULL,
    body bytea NOT NULL,
    headers bytea,
    progress bytea,
    failure bytea
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE UNIQUE INDEX job_id ON outgrow.job (id);
CREATE INDEX job_ready ON outgrow.job (queue, rank, place) WHERE state = 0;
CREATE INDEX job_running ON outgrow.job (queue) WHERE state = 1;
CREATE INDEX job_held ON outgrow.job (queue, key, rank, place) WHERE state = 2;
CREATE INDEX job_later ON outgrow.job (run_at_ms) WHERE state = 3;
CREATE INDEX job_told ON outgrow.job (worker) WHERE is_cancelled;
CREATE INDEX job_expiry ON outgrow.job (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE UNIQUE INDEX job_unique ON outgrow.job (unique_key) WHERE unique_key IS NOT NULL;
CREATE UNIQUE INDEX job_key_slot ON outgrow.job (queue, key, key_slot) WHERE key_slot IS NOT NULL;
CREATE UNIQUE INDEX job_queue_slot ON outgrow.job (queue, queue_slot) WHERE queue_slot IS NOT NULL;

CREATE TABLE outgrow.job_done (
    finished_ms bigint NOT NULL,
    enqueued_ms bigint NOT NULL,
    started_ms bigint,
    id uuid NOT NULL,
    attempt integer NOT NULL,
    kind text NOT NULL,
    queue text NOT NULL,
    state text NOT NULL,
    key text,
    result bytea,
    failure bytea
) PARTITION BY RANGE (finished_ms);
CREATE INDEX job_done_id ON outgrow.job_done (id);

CREATE TABLE outgrow.unique_mark (
    unique_key text PRIMARY KEY, id uuid NOT NULL, until_ms bigint NOT NULL
);
CREATE TABLE outgrow.step (
    id uuid NOT NULL, name text NOT NULL, result bytea NOT NULL, PRIMARY KEY (id, name)
);
CREATE TABLE outgrow.queue (
    name text PRIMARY KEY,
    is_paused boolean NOT NULL DEFAULT false,
    slots integer,
    rate_count integer,
    rate_per_ms bigint,
    rate_burst integer,
    tokens double precision NOT NULL DEFAULT 0,
    refilled_ms bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE outgrow.schedule (name text PRIMARY KEY, last_tick_ms bigint NOT NULL);

CREATE TABLE outgrow.head (
    topic text NOT NULL, partition integer NOT NULL, seq bigint NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
CREATE TABLE outgrow.message (
    seq bigint NOT NULL,
    appended_ms bigint NOT NULL,
    id uuid NOT NULL,
    partition integer NOT NULL,
    topic text NOT NULL,
    key text,
    schema text NOT NULL,
    body bytea NOT NULL,
    headers bytea,
    PRIMARY KEY (topic, partition, seq)
);
CREATE INDEX message_age ON outgrow.message (topic, appended_ms);
CREATE TABLE outgrow.subscription (
    name text PRIMARY KEY,
    topic text NOT NULL,
    attempts_max integer NOT NULL,
    is_paused boolean NOT NULL DEFAULT false
);
CREATE TABLE outgrow.cursor (
    seq bigint NOT NULL,
    taken bigint NOT NULL,
    worker uuid,
    epoch bigint,
    partition integer NOT NULL,
    subscription text NOT NULL,
    PRIMARY KEY (subscription, partition)
) WITH (fillfactor = 50);
CREATE TABLE outgrow.parked (
    seq bigint NOT NULL,
    due_ms bigint NOT NULL,
    worker uuid,
    epoch bigint,
    partition integer NOT NULL,
    attempt integer NOT NULL,
    state smallint NOT NULL,
    subscription text NOT NULL,
    key text,
    failure bytea,
    PRIMARY KEY (subscription, partition, seq)
);
CREATE INDEX parked_key ON outgrow.parked (subscription, partition, key, seq) WHERE key IS NOT NULL;
CREATE INDEX parked_due ON outgrow.parked (subscription, due_ms) WHERE state = 0;
CREATE INDEX parked_running ON outgrow.parked (worker, epoch) WHERE state = 1;
CREATE INDEX parked_replayed ON outgrow.parked (subscription, partition) WHERE state = 3;

CREATE TABLE outgrow.dead (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    died_ms bigint NOT NULL,
    id uuid NOT NULL,
    attempts integer NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    name text NOT NULL,
    fingerprint text NOT NULL,
    failure bytea NOT NULL,
    copy bytea NOT NULL
);
CREATE INDEX dead_group ON outgrow.dead (fingerprint, number, died_ms);
CREATE INDEX dead_id ON outgrow.dead (id);
"""

# A move from another store that is not over, and how far it is; none where nothing moves.
_MOVING = """
CREATE TABLE outgrow.moving (
    id uuid PRIMARY KEY, state text NOT NULL, other text NOT NULL,
    reached text NOT NULL DEFAULT '', after bytea
);
"""

VERSIONS: tuple[str, ...] = (_FIRST, _MOVING)
"""What brings the tables from the version before to each version, from 1 on."""
