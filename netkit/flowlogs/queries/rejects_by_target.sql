-- question: At which targets is traffic rejected?
-- param limit: int = 50 | rows at most
-- fields: interface_id srcaddr dstaddr dstport packets start end action log_status
-- column dstaddr: str | destination address
-- column interface_id: str | interface that rejected it
-- column records: int | rejected flow records
-- column packets: int | rejected packets
-- column sources: int | distinct sources
-- column ports: int | distinct destination ports
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
SELECT
  dstaddr, interface_id,
  COUNT(*) AS records,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(DISTINCT srcaddr) AS sources,
  COUNT(DISTINCT dstport) AS ports,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND action = 'REJECT'
GROUP BY dstaddr, interface_id
ORDER BY records DESC, dstaddr, interface_id
LIMIT :limit
