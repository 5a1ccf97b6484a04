"""What survives a crash: each service's own database, and durable work; SQLite or PostgreSQL.

SQLAlchemy, the drivers and Alembic are imported only when a database is opened or migrated.
"""

from outgrow.store.address import url_of_durable, variable_of
from outgrow.store.blocks import Handling, block_here, collecting, handled_here
from outgrow.store.database import Database
from outgrow.store.durable.checks import check_batch, check_result
from outgrow.store.durable.deathwatch import DeathWatch
from outgrow.store.durable.engines import (
    EngineRows,
    PlainEngine,
    PlainSession,
    Tables,
    outbox_table,
)
from outgrow.store.durable.errors import (
    DurableError,
    HandledBeforeError,
    LeaseLostError,
    MessageSizeError,
    OutboxError,
    SecondBlockError,
    StoreBusyError,
    StoreLostError,
    StoreMovedError,
    StoreMoveError,
    StoreOwnedError,
    StoreVersionError,
    SubscriptionMissingError,
)
from outgrow.store.durable.failures import failure_of
from outgrow.store.durable.ids import new_id, wall_clock
from outgrow.store.durable.moving.move import (
    Moved,
    check_not_moved,
    give_up_move,
    look_at_move,
    move_store,
)
from outgrow.store.durable.opening import durable_at, durable_place
from outgrow.store.durable.outbox import (
    Message,
    Mover,
    delete_statement,
    read_statement,
    statements_for,
)
from outgrow.store.durable.protocol import (
    Crew,
    Dead,
    DurableStore,
    FromOffsets,
    FromTime,
    Log,
    Queue,
    Start,
)
from outgrow.store.durable.records import (
    ClaimedJob,
    DeadGroup,
    DeadLetter,
    Delivery,
    EventOutcome,
    Failure,
    Freed,
    JobOutcome,
    JobState,
    JobView,
    Lease,
    NewJob,
    Placed,
    Position,
    Publication,
    Pulse,
    QueueLimits,
    QueueView,
    Rate,
    Sighting,
    SubscriptionView,
)
from outgrow.store.durable.threads import ThreadMover, ThreadRows
from outgrow.store.durable.tunnel import METHODS, PARTS
from outgrow.store.migrations import run_migrations
from outgrow.store.options import DatabaseOptions, database
from outgrow.store.scaffold import write_migrations
from outgrow.store.turns import watch_turns

__all__ = [
    "METHODS",
    "PARTS",
    "ClaimedJob",
    "Crew",
    "Database",
    "DatabaseOptions",
    "Dead",
    "DeadGroup",
    "DeadLetter",
    "DeathWatch",
    "Delivery",
    "DurableError",
    "DurableStore",
    "EngineRows",
    "EventOutcome",
    "Failure",
    "Freed",
    "FromOffsets",
    "FromTime",
    "HandledBeforeError",
    "Handling",
    "JobOutcome",
    "JobState",
    "JobView",
    "Lease",
    "LeaseLostError",
    "Log",
    "Message",
    "MessageSizeError",
    "Moved",
    "Mover",
    "NewJob",
    "OutboxError",
    "Placed",
    "PlainEngine",
    "PlainSession",
    "Position",
    "Publication",
    "Pulse",
    "Queue",
    "QueueLimits",
    "QueueView",
    "Rate",
    "SecondBlockError",
    "Sighting",
    "Start",
    "StoreBusyError",
    "StoreLostError",
    "StoreMoveError",
    "StoreMovedError",
    "StoreOwnedError",
    "StoreVersionError",
    "SubscriptionMissingError",
    "SubscriptionView",
    "Tables",
    "ThreadMover",
    "ThreadRows",
    "block_here",
    "check_batch",
    "check_not_moved",
    "check_result",
    "collecting",
    "database",
    "delete_statement",
    "durable_at",
    "durable_place",
    "failure_of",
    "give_up_move",
    "handled_here",
    "look_at_move",
    "move_store",
    "new_id",
    "outbox_table",
    "read_statement",
    "run_migrations",
    "statements_for",
    "url_of_durable",
    "variable_of",
    "wall_clock",
    "watch_turns",
    "write_migrations",
]
