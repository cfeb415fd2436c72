-- question: Who is rejected at which target and port, and was the same ever accepted there?
-- param limit: int = 20000 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets start end action log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column protocol: int | IANA protocol number
-- column dstport: int | destination port
-- column interface_id: str | interface that rejected it
-- column rejected: int | rejected flow records
-- column rejected_packets: int | rejected packets
-- column attempts: int | distinct source ports
-- column accepted: int | accepted flow records between the same ends and port at the same interface
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: accepted counts at the interface that rejected: the sender's own interface accepts what the target's rejects.
WITH rejected AS (
  SELECT
    srcaddr, dstaddr, protocol, dstport, interface_id,
    COUNT(*) AS rejected,
    SUM(packets) AS rejected_packets,
    COUNT(DISTINCT srcport) AS attempts,
    MIN("start") AS first_seen,
    MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK' AND action = 'REJECT'
  GROUP BY srcaddr, dstaddr, protocol, dstport, interface_id
),
accepted AS (
  SELECT srcaddr, dstaddr, protocol, dstport, interface_id, COUNT(*) AS accepted
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT'
  GROUP BY srcaddr, dstaddr, protocol, dstport, interface_id
)
SELECT
  rejected.srcaddr, rejected.dstaddr, rejected.protocol, rejected.dstport, rejected.interface_id,
  rejected.rejected,
  CAST(rejected.rejected_packets AS bigint) AS rejected_packets,
  rejected.attempts,
  COALESCE(accepted.accepted, 0) AS accepted,
  rejected.first_seen, rejected.last_seen
FROM rejected
LEFT JOIN accepted
  ON accepted.srcaddr = rejected.srcaddr AND accepted.dstaddr = rejected.dstaddr
  AND accepted.protocol = rejected.protocol AND accepted.dstport = rejected.dstport
  AND accepted.interface_id = rejected.interface_id
ORDER BY rejected DESC, srcaddr, dstaddr, protocol, dstport, interface_id
LIMIT :limit
