-- question: Which interfaces are in the log, from when to when, and what was lost at them?
-- fields: interface_id start end packets bytes log_status
-- column interface_id: str | interface
-- column records: int | records of any status
-- column ok: int | records with traffic
-- column nodata: int | records that say there was none
-- column skipdata: int | records that say some were lost
-- column packets: int | packets
-- column bytes: int | bytes
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
SELECT
  interface_id,
  COUNT(*) AS records,
  CAST(SUM(CASE WHEN log_status = 'OK' THEN 1 ELSE 0 END) AS bigint) AS ok,
  CAST(SUM(CASE WHEN log_status = 'NODATA' THEN 1 ELSE 0 END) AS bigint) AS nodata,
  CAST(SUM(CASE WHEN log_status = 'SKIPDATA' THEN 1 ELSE 0 END) AS bigint) AS skipdata,
  CAST(COALESCE(SUM(packets), 0) AS bigint) AS packets,
  CAST(COALESCE(SUM(bytes), 0) AS bigint) AS bytes,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
GROUP BY interface_id
ORDER BY interface_id
