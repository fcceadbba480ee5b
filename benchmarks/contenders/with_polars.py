"""Polars: a lazy join of the whole file with itself, likewise a batch."""

import polars as pl

from benchmarks.contenders.common import arguments, write_matches

_DATA = {
    "person": pl.String,
    "direction": pl.String,
    "media": pl.String,
    "relationship": pl.String,
    "invited_at": pl.String,
    "answered_at": pl.String,
    "ended_at": pl.String,
    "transfer_id": pl.String,
    "initiated_at": pl.String,
    "amount": pl.String,
    "payee_kind": pl.String,
    "payee_times_paid": pl.Int64,
    "status": pl.String,
}
_MOMENTS = ("invited_at", "answered_at", "ended_at", "initiated_at")


def _json(log: str) -> pl.LazyFrame:
    return pl.scan_ndjson(log, schema={"type": pl.String, "data": pl.Struct(_DATA)}).unnest("data")


def _moments(frame: pl.LazyFrame, columns: tuple[str, ...]) -> pl.LazyFrame:
    # Only what has passed the filter is parsed.
    return frame.with_columns(pl.col(columns).str.to_datetime("%Y-%m-%dT%H:%M:%S%z"))


def main() -> None:
    """Join the log with itself."""
    log, variants, out = arguments()
    is_parquet = log.suffix == ".parquet"
    records = pl.scan_parquet(log) if is_parquet else _json(str(log))
    call = records.filter(
        pl.col("type") == "ringfence.call_invitation.v1",
        pl.col("media") == "video",
        pl.col("direction") == "incoming",
        pl.col("relationship").is_in(["stranger", "one_way_prior"]),
        pl.col("answered_at").is_not_null(),
    ).select("person", *_MOMENTS[:3])
    pay = records.filter(
        pl.col("type") == "ringfence.transfer.v1",
        pl.col("direction") == "out",
        pl.col("payee_times_paid") == 0,
        ~pl.col("status").is_in(["rejected", "recalled"]),
        pl.col("payee_kind").is_in(["personal", "unknown"]),
    ).select("person", "initiated_at", "transfer_id", "amount")
    if not is_parquet:
        call = _moments(call, _MOMENTS[:3])
        pay = _moments(pay, _MOMENTS[3:]).with_columns(pl.col("amount").cast(pl.Decimal(18, 2)))
    rules = pl.LazyFrame(
        {
            "rule": [v.rule for v in variants],
            "min_amount": [v.min_amount for v in variants],
            "after_call": [v.after_call_s * 1_000_000 for v in variants],
            "min_talk": [v.min_talk_s * 1_000_000 for v in variants],
        },
        schema_overrides={"after_call": pl.Duration("us"), "min_talk": pl.Duration("us")},
    ).with_columns(pl.col("min_amount").cast(pl.Decimal(18, 2)))
    found = (
        pay.join(call, on="person")
        .filter(pl.col("initiated_at") >= pl.col("invited_at"))
        .join(rules, how="cross")
        .filter(
            pl.col("amount") >= pl.col("min_amount"),
            pl.col("ended_at") - pl.col("answered_at") >= pl.col("min_talk"),
            pl.col("initiated_at") <= pl.col("ended_at") + pl.col("after_call"),
        )
        .select("rule", "transfer_id")
        .unique()
        .collect(engine="streaming")
    )
    write_matches(out, found.iter_rows())


if __name__ == "__main__":
    main()
