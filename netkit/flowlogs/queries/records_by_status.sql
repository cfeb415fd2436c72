-- question: How many records of which status and action are there, and what do they carry?
-- fields: log_status packets bytes
-- optional: action
-- column log_status: str | OK, NODATA (nothing to log) or SKIPDATA (records lost)
-- column action: str | ACCEPT, REJECT, or none for NODATA and SKIPDATA
-- column records: int | flow records
-- column packets: int | packets
-- column bytes: int | bytes
-- note: A SKIPDATA record stands for any number of lost ones.
SELECT
  NULLIF(log_status, '-') AS log_status,
  NULLIF(action, '-') AS action,
  COUNT(*) AS records,
  CAST(COALESCE(SUM(packets), 0) AS bigint) AS packets,
  CAST(COALESCE(SUM(bytes), 0) AS bigint) AS bytes
FROM flows
GROUP BY NULLIF(log_status, '-'), NULLIF(action, '-')
ORDER BY log_status, action
