-- question: On which ports is traffic rejected?
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr dstport protocol packets start end action log_status
-- column dstport: int | destination port
-- column protocol: int | IANA protocol number
-- column records: int | rejected flow records
-- column packets: int | rejected packets
-- column sources: int | distinct sources
-- column targets: int | distinct destinations
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
SELECT
  dstport, protocol,
  COUNT(*) AS records,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(DISTINCT srcaddr) AS sources,
  COUNT(DISTINCT dstaddr) AS targets,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND action = 'REJECT'
GROUP BY dstport, protocol
ORDER BY records DESC, dstport, protocol
LIMIT :limit
