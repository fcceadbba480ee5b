"""DuckDB: one query over the whole file, a batch join with no order of events and no lateness."""

import duckdb

from benchmarks.contenders.common import arguments, write_matches

_DATA = """STRUCT(person VARCHAR, direction VARCHAR, media VARCHAR, relationship VARCHAR,
    invited_at TIMESTAMPTZ, answered_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, transfer_id VARCHAR,
    initiated_at TIMESTAMPTZ, amount DECIMAL(18, 2), payee_kind VARCHAR, payee_times_paid BIGINT,
    status VARCHAR)"""
_JSON = f"""(SELECT type, unnest(data) FROM read_json($log, format = 'newline_delimited',
    columns = {{type: 'VARCHAR', data: '{_DATA}'}}))"""  # noqa: S608 - our own text
_PARQUET = "read_parquet($log)"
_QUERY = """
WITH record AS (SELECT * FROM {log}),
call AS (
    SELECT person, invited_at, ended_at, ended_at - answered_at AS talk FROM record
    WHERE type = 'ringfence.call_invitation.v1' AND media = 'video' AND direction = 'incoming'
        AND relationship IN ('stranger', 'one_way_prior') AND answered_at IS NOT NULL
),
pay AS (
    SELECT person, initiated_at, amount, transfer_id FROM record
    WHERE type = 'ringfence.transfer.v1' AND direction = 'out' AND payee_times_paid = 0
        AND status NOT IN ('rejected', 'recalled') AND payee_kind IN ('personal', 'unknown')
)
SELECT DISTINCT rule, transfer_id FROM pay JOIN call USING (person) JOIN (
    SELECT unnest($rules) AS rule, unnest($amounts) AS min_amount,
        to_seconds(unnest($windows)) AS after_call, to_seconds(unnest($talks)) AS min_talk
) ON amount >= min_amount AND talk >= min_talk
    AND initiated_at BETWEEN invited_at AND ended_at + after_call
"""


def main() -> None:
    """Join the log with itself."""
    log, variants, out = arguments()
    source = _PARQUET if log.suffix == ".parquet" else _JSON
    with duckdb.connect() as connection:
        found = connection.execute(
            _QUERY.format(log=source),
            {
                "log": str(log),
                "rules": [v.rule for v in variants],
                "amounts": [v.min_amount for v in variants],
                "windows": [v.after_call_s for v in variants],
                "talks": [v.min_talk_s for v in variants],
            },
        ).fetchall()
    write_matches(out, found)


if __name__ == "__main__":
    main()
