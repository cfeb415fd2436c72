-- question: At which interfaces was the traffic between two addresses seen, and how did it look there?
-- param source: address | one end
-- param destination: address | the other end
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status pkt_srcaddr pkt_dstaddr flow_direction
-- column interface_id: str | interface
-- column flow_direction: str | ingress or egress at that interface
-- column srcaddr: str | source at that hop
-- column dstaddr: str | destination at that hop
-- column pkt_srcaddr: str | source in the packet
-- column pkt_dstaddr: str | destination in the packet
-- column protocol: int | IANA protocol number
-- column server_port: int | the lower port
-- column action: str | ACCEPT or REJECT
-- column packets: int | packets
-- column bytes: int | bytes
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Behind a NAT gateway the packet's source is the gateway, so what its other clients sent to the same destination is in those rows too.
WITH direct AS (
  SELECT *
  FROM flows
  WHERE log_status = 'OK' AND (
    (srcaddr IN (:source, :destination) AND pkt_dstaddr IN (:source, :destination))
    OR (pkt_srcaddr IN (:source, :destination) AND dstaddr IN (:source, :destination))
    OR (pkt_srcaddr IN (:source, :destination) AND pkt_dstaddr IN (:source, :destination))
  )
),
via AS (
  SELECT srcaddr AS address FROM direct WHERE srcaddr NOT IN (:source, :destination)
  UNION
  SELECT dstaddr AS address FROM direct WHERE dstaddr NOT IN (:source, :destination)
),
beyond AS (
  SELECT *
  FROM flows
  WHERE log_status = 'OK' AND (
    (srcaddr IN (SELECT address FROM via) AND pkt_srcaddr = srcaddr AND dstaddr IN (:source, :destination))
    OR (dstaddr IN (SELECT address FROM via) AND pkt_dstaddr = dstaddr AND srcaddr IN (:source, :destination))
  )
),
hops AS (
  SELECT * FROM direct
  UNION ALL
  SELECT * FROM beyond
)
SELECT
  interface_id,
  NULLIF(flow_direction, '-') AS flow_direction,
  srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr, protocol,
  LEAST(srcport, dstport) AS server_port,
  action,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM hops
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ORDER BY first_seen, interface_id, flow_direction, srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr, protocol, server_port, action
