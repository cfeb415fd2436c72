-- question: What did one interface send and receive, connection by connection?
-- param interface: word | the interface's id, as eni-0123456789abcdef0
-- param limit: int = 1000000 | rows at most, earliest first
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- optional: pkt_srcaddr pkt_dstaddr
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
-- note: Addresses are those in the packets where the log has the pkt-* fields; without them an interface's secondary addresses are logged as its primary one.
WITH seen AS (
  SELECT
    COALESCE(NULLIF(pkt_srcaddr, '-'), srcaddr) AS source, COALESCE(NULLIF(pkt_dstaddr, '-'), dstaddr) AS destination,
    srcport, dstport, protocol, action, packets, bytes, "start", "end"
  FROM flows
  WHERE log_status = 'OK' AND interface_id = :interface
)
SELECT
  source AS srcaddr, destination AS dstaddr, srcport, dstport, protocol, action,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes,
  MIN("start") AS "start",
  MAX("end") AS "end"
FROM seen
GROUP BY source, destination, srcport, dstport, protocol, action
ORDER BY "start", source, destination, srcport, dstport, protocol, action
LIMIT :limit
