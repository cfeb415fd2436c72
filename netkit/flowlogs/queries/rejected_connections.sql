-- question: Which connections are rejected most, where, and since when?
-- param limit: int = 20 | rows at most
-- fields: interface_id srcaddr dstaddr dstport protocol packets bytes start end action log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address; at the receiving interface its primary private address
-- column dstport: int | destination port
-- column protocol: int | IANA protocol number
-- column interface_id: str | interface that rejected it
-- column reject_count: int | rejected flow records
-- column packets: int | rejected packets
-- column bytes: int | rejected bytes
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: REJECT also marks packets that came after their connection was closed, and no rule is named; reject-reason tells BPA and EC only.
SELECT
  srcaddr,
  dstaddr,
  dstport,
  protocol,
  interface_id,
  COUNT(*) AS reject_count,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND action = 'REJECT'
GROUP BY srcaddr, dstaddr, dstport, protocol, interface_id
ORDER BY reject_count DESC, srcaddr, dstaddr, dstport, protocol, interface_id
LIMIT :limit
