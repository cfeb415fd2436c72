-- question: What does each interface carry?
-- fields: interface_id packets bytes start end log_status
-- column interface_id: str | interface
-- column avg_packet_bytes: float | bytes a packet, weighted by packets
-- column bytes: int | bytes
-- column packets: int | packets
-- column bits_per_s: float | mean over the time from the first to the last record
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: A mean over aggregation intervals of 60 or 600 s, in and out together; peaks within an interval are not in a flow log.
SELECT
  interface_id,
  CAST(SUM(bytes) AS double) / NULLIF(SUM(packets), 0) AS avg_packet_bytes,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) * 8 AS double) / NULLIF(MAX("end") - MIN("start"), 0) AS bits_per_s,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND packets > 0
GROUP BY interface_id
ORDER BY bytes DESC, interface_id
