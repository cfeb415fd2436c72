-- question: Who is rejected at which target and port, and was the same ever accepted there?
-- param limit: int = 20000 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column protocol: int | IANA protocol number
-- column leg: str | request, or reply: from a port below 32768 to one above
-- column port: int | the service's port: the destination's of a request, the source's of a reply
-- column interface_id: str | interface that rejected it
-- column rejected: int | rejected flow records
-- column rejected_packets: int | rejected packets
-- column rejected_bytes: int | rejected bytes
-- column attempts: int | distinct client ports
-- column accepted: int | accepted flow records of the same kind at the same interface
-- column accepted_until: int | end of the last accepted one, Unix seconds
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: accepted counts at the interface that rejected: the sender's own interface accepts what the target's rejects.
WITH legs AS (
  SELECT
    srcaddr, dstaddr, protocol, interface_id, action, packets, bytes, "start", "end",
    CASE WHEN srcport < 32768 AND dstport >= 32768 THEN 'reply' ELSE 'request' END AS leg,
    CASE WHEN srcport < 32768 AND dstport >= 32768 THEN srcport ELSE dstport END AS port,
    CASE WHEN srcport < 32768 AND dstport >= 32768 THEN dstport ELSE srcport END AS client_port
  FROM flows
  WHERE log_status = 'OK'
),
rejected AS (
  SELECT
    srcaddr, dstaddr, protocol, leg, port, interface_id,
    COUNT(*) AS rejected,
    SUM(packets) AS rejected_packets,
    SUM(bytes) AS rejected_bytes,
    COUNT(DISTINCT client_port) AS attempts,
    MIN("start") AS first_seen,
    MAX("end") AS last_seen
  FROM legs
  WHERE action = 'REJECT'
  GROUP BY srcaddr, dstaddr, protocol, leg, port, interface_id
),
accepted AS (
  SELECT srcaddr, dstaddr, protocol, leg, port, interface_id, COUNT(*) AS accepted, MAX("end") AS accepted_until
  FROM legs
  WHERE action = 'ACCEPT'
  GROUP BY srcaddr, dstaddr, protocol, leg, port, interface_id
)
SELECT
  rejected.srcaddr, rejected.dstaddr, rejected.protocol, rejected.leg, rejected.port, rejected.interface_id,
  rejected.rejected,
  CAST(rejected.rejected_packets AS bigint) AS rejected_packets,
  CAST(rejected.rejected_bytes AS bigint) AS rejected_bytes,
  rejected.attempts,
  COALESCE(accepted.accepted, 0) AS accepted,
  accepted.accepted_until,
  rejected.first_seen, rejected.last_seen
FROM rejected
LEFT JOIN accepted
  ON accepted.srcaddr = rejected.srcaddr AND accepted.dstaddr = rejected.dstaddr
  AND accepted.protocol = rejected.protocol AND accepted.leg = rejected.leg AND accepted.port = rejected.port
  AND accepted.interface_id = rejected.interface_id
ORDER BY rejected DESC, srcaddr, dstaddr, protocol, leg, port, interface_id
LIMIT :limit
