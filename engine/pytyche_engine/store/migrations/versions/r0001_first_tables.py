"""The first tables, and an audit log that can only grow."""

import sqlalchemy as sa
from alembic import op

from pytyche_engine.store.tables import SERIAL, UTCTime

revision = "0001"
down_revision = None

_REFUSED = "The audit log is append-only."


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "audit",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("at", UTCTime(), nullable=False),
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_of", "audit", ["experiment_id", "id"])

    op.create_table(
        "experiments",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("hypothesis", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=10), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("metric", sa.String(length=20), nullable=False),
        sa.Column("alpha", sa.Float(), nullable=False),
        sa.Column("expected_lift", sa.Float(), nullable=False),
        sa.Column("planned_visitors", sa.BigInteger(), nullable=True),
        sa.Column("floor", sa.Float(), nullable=False),
        sa.Column("update_seconds", sa.Integer(), nullable=False),
        sa.Column("tau", sa.Float(), nullable=True),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("split_alarm", sa.Boolean(), nullable=False),
        sa.Column("winner", sa.String(length=32), nullable=True),
        sa.Column("created_at", UTCTime(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("launched_at", UTCTime(), nullable=True),
        sa.Column("stopped_at", UTCTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("experiments_by_name", "experiments", ["name"])
    op.create_index(
        "experiments_totals", "experiments", ["project_id", "status", "split_alarm", "winner"]
    )
    op.create_index("experiments_newest", "experiments", ["created_at", "id"])
    op.create_index("experiments_of_project", "experiments", ["project_id", "created_at", "id"])

    op.create_table(
        "analyses",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("made_at", UTCTime(), nullable=False),
        sa.Column("made_by", sa.String(length=200), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("analyses_of", "analyses", ["experiment_id", "id"])

    op.create_table(
        "plans",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("round_index", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("made_at", UTCTime(), nullable=False),
        sa.Column("made_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("experiment_id", "round_index", "revision"),
    )
    op.create_table(
        "rounds",
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("round_index", sa.Integer(), nullable=False),
        sa.Column("n_visitors", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("treatment", sa.String(length=200), nullable=False),
        sa.Column("lift", sa.Float(), nullable=False),
        sa.Column("lift_low", sa.Float(), nullable=False),
        sa.Column("lift_high", sa.Float(), nullable=False),
        sa.Column("label", sa.String(length=40), nullable=False),
        sa.Column("finished_at", UTCTime(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("experiment_id", "round_index"),
    )
    op.create_table(
        "variants",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("experiment_id", "name"),
        sa.UniqueConstraint("experiment_id", "position"),
    )
    op.create_table(
        "weight_changes",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("weights", sa.JSON(), nullable=False),
        sa.Column("best", sa.JSON(), nullable=True),
        sa.Column("since", UTCTime(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("weight_changes_of", "weight_changes", ["experiment_id", "id"])

    op.create_table(
        "batches",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("period", SERIAL, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sums", sa.JSON(), nullable=False),
        sa.Column("received_from", sa.String(length=200), nullable=False),
        sa.Column("received_at", UTCTime(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["period"], ["weight_changes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("experiment_id", "key"),
    )
    op.create_table(
        "period_sums",
        sa.Column("period", SERIAL, nullable=False),
        sa.Column("variant_id", sa.String(length=32), nullable=False),
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("exposures", sa.BigInteger(), nullable=False),
        sa.Column("conversions", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("total_squares", sa.Float(), nullable=False),
        sa.Column("pre_exposures", sa.BigInteger(), nullable=False),
        sa.Column("pre_total", sa.Float(), nullable=False),
        sa.Column("pre_squares", sa.Float(), nullable=False),
        sa.Column("pre_cross", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["period"], ["weight_changes.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["variant_id"], ["variants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("period", "variant_id"),
    )
    op.create_index("period_sums_of", "period_sums", ["experiment_id"])
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_refuses_{what.lower()} BEFORE {what} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()"
        )


def downgrade() -> None:
    """Go back to an empty database."""
    for table in ("period_sums", "batches", "analyses", "plans", "rounds", "variants"):
        op.drop_table(table)
    for table in ("weight_changes", "experiments", "audit"):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION audit_refuses")
