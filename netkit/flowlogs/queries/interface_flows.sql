-- question: What did one interface send and receive, connection by connection?
-- param interface: str | the interface's id, as eni-0123456789abcdef0
-- param limit: int = 1000000 | rows at most, earliest first
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column srcport: int | source port
-- column dstport: int | destination port
-- column protocol: int | IANA protocol number
-- column action: str | ACCEPT or REJECT
-- column packets: int | packets
-- column bytes: int | bytes
-- column start: int | Unix seconds, of the first record
-- column end: int | Unix seconds, of the last record
-- note: An interface's secondary addresses are logged as its primary one; the pkt-* fields have them, and this query does not need those.
SELECT
  srcaddr, dstaddr, srcport, dstport, protocol, action,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes,
  MIN("start") AS "start",
  MAX("end") AS "end"
FROM flows
WHERE log_status = 'OK' AND interface_id = :interface
GROUP BY srcaddr, dstaddr, srcport, dstport, protocol, action
ORDER BY "start", srcaddr, dstaddr, srcport, dstport, protocol, action
LIMIT :limit
