"""The tables of the registry. `migrations` makes them; a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UTCTime(TypeDecorator[datetime]):
    """A moment with its zone. SQLite keeps none, so it gets UTC and gives UTC back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


ID = String(32)
# SQLite numbers rows by itself only where the type is exactly INTEGER.
SERIAL = BigInteger().with_variant(Integer(), "sqlite")
metadata = MetaData()


def _belongs_to(table: str) -> ForeignKey:
    return ForeignKey(f"{table}.id", ondelete="CASCADE")


experiments = Table(
    "experiments",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", String(100), nullable=False),
    Column("name", String(200), nullable=False),
    Column("hypothesis", Text, nullable=False),
    Column("type", String(10), nullable=False),
    Column("status", String(10), nullable=False),
    Column("metric", String(20), nullable=False),
    Column("alpha", Float, nullable=False),
    Column("expected_lift", Float, nullable=False),
    Column("planned_visitors", BigInteger),
    Column("floor", Float, nullable=False),
    Column("update_seconds", Integer, nullable=False),
    Column("tau", Float),
    Column("folder", Text),
    Column("split_alarm", Boolean, nullable=False),
    Column("winner", ID),
    Column("created_at", UTCTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("launched_at", UTCTime),
    Column("stopped_at", UTCTime),
    Index("experiments_newest", "created_at", "id"),
    Index("experiments_of_project", "project_id", "created_at", "id"),
    Index("experiments_by_name", "name"),
    # Holds all that the totals are made of.
    Index("experiments_totals", "project_id", "status", "split_alarm", "winner"),
)
"""One row an experiment. ``tau`` is the scale of effects of the sequential test, fixed once."""

variants = Table(
    "variants",
    metadata,
    Column("id", ID, primary_key=True),
    Column("experiment_id", ID, _belongs_to("experiments"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Column("weight", Float, nullable=False),
    UniqueConstraint("experiment_id", "name"),
    UniqueConstraint("experiment_id", "position"),
)
"""The arms of an experiment; position 0 is control. ``weight`` is the one in force."""

weight_changes = Table(
    "weight_changes",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("experiment_id", ID, _belongs_to("experiments"), nullable=False),
    Column("weights", JSON, nullable=False),
    Column("best", JSON),
    Column("since", UTCTime, nullable=False),
    Index("weight_changes_of", "experiment_id", "id"),
)
"""The weight history: a row is a period in which the weights, by variant id, were the same.

``best`` holds each variant's P(best) that the weights came from, where a bandit set them.
"""

batches = Table(
    "batches",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("experiment_id", ID, _belongs_to("experiments"), nullable=False),
    Column("period", SERIAL, _belongs_to("weight_changes"), nullable=False),
    Column("key", String(200)),
    Column("kind", String(10), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("sums", JSON, nullable=False),
    Column("received_from", String(200), nullable=False),
    Column("received_at", UTCTime, nullable=False),
    UniqueConstraint("experiment_id", "key"),
)
"""Deliveries of observations: ``sums`` by variant id. Rows lie in a file named by ``digest``."""

period_sums = Table(
    "period_sums",
    metadata,
    Column("period", SERIAL, _belongs_to("weight_changes"), primary_key=True),
    Column("variant_id", ID, _belongs_to("variants"), primary_key=True),
    Column("experiment_id", ID, nullable=False),
    Column("exposures", BigInteger, nullable=False),
    Column("conversions", BigInteger, nullable=False),
    Column("total", Float, nullable=False),
    Column("total_squares", Float, nullable=False),
    Column("pre_exposures", BigInteger, nullable=False),
    Column("pre_total", Float, nullable=False),
    Column("pre_squares", Float, nullable=False),
    Column("pre_cross", Float, nullable=False),
    Index("period_sums_of", "experiment_id"),
)
"""What all deliveries of a period add up to, a row a variant; there since the period began."""

analyses = Table(
    "analyses",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("experiment_id", ID, _belongs_to("experiments"), nullable=False),
    Column("made_at", UTCTime, nullable=False),
    Column("made_by", String(200), nullable=False),
    Column("result", JSON, nullable=False),
    Index("analyses_of", "experiment_id", "id"),
)

plans = Table(
    "plans",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("experiment_id", ID, _belongs_to("experiments"), nullable=False),
    Column("round_index", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("made_at", UTCTime, nullable=False),
    Column("made_by", String(200), nullable=False),
    UniqueConstraint("experiment_id", "round_index", "revision"),
)
"""Plans of adaptive experiments, with every revision."""

rounds = Table(
    "rounds",
    metadata,
    Column("experiment_id", ID, _belongs_to("experiments"), primary_key=True),
    Column("round_index", Integer, primary_key=True),
    Column("n_visitors", BigInteger, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("treatment", String(200), nullable=False),
    Column("lift", Float, nullable=False),
    Column("lift_low", Float, nullable=False),
    Column("lift_high", Float, nullable=False),
    Column("label", String(40), nullable=False),
    Column("finished_at", UTCTime, nullable=False),
)
"""Finished rounds of adaptive experiments: what they concluded. Their files lie in ``folder``."""

audit = Table(
    "audit",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("at", UTCTime, nullable=False),
    Column("who", String(200), nullable=False),
    Column("experiment_id", ID, nullable=False),
    Column("action", String(40), nullable=False),
    Column("detail", JSON, nullable=False),
    Index("audit_of", "experiment_id", "id"),
)
"""Who did what, also to experiments that were deleted. A trigger refuses changes and deletions."""
