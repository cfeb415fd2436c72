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
WITH seen AS (
  SELECT
    interface_id,
    NULLIF(flow_direction, '-') AS flow_direction,
    srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr, protocol,
    LEAST(srcport, dstport) AS server_port,
    action,
    MAX(CASE
      WHEN (srcaddr IN (:source, :destination) AND pkt_dstaddr IN (:source, :destination))
        OR (pkt_srcaddr IN (:source, :destination) AND dstaddr IN (:source, :destination))
        OR (pkt_srcaddr IN (:source, :destination) AND pkt_dstaddr IN (:source, :destination)) THEN 1
      ELSE 0
    END) AS direct,
    SUM(packets) AS packets,
    SUM(bytes) AS bytes,
    MIN("start") AS first_seen,
    MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK' AND (
    srcaddr IN (:source, :destination) OR dstaddr IN (:source, :destination)
    OR (pkt_srcaddr IN (:source, :destination) AND pkt_dstaddr IN (:source, :destination))
  )
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
),
-- Both addresses of a row, one at a time: one that stands between the ends in a direct row leads on to rows beyond it.
ends AS (
  SELECT seen.*, places.place, CASE WHEN places.place = 1 THEN srcaddr ELSE dstaddr END AS via
  FROM seen
  CROSS JOIN (VALUES (1), (2)) AS places (place)
),
reached AS (
  SELECT
    *,
    CASE
      WHEN direct = 1 THEN 1
      WHEN via IN (:source, :destination) THEN 0
      WHEN MAX(direct) OVER (PARTITION BY via) = 0 THEN 0
      WHEN place = 1 AND pkt_srcaddr = srcaddr AND dstaddr IN (:source, :destination) THEN 1
      WHEN place = 2 AND pkt_dstaddr = dstaddr AND srcaddr IN (:source, :destination) THEN 1
      ELSE 0
    END AS reach
  FROM ends
)
SELECT
  interface_id, flow_direction, srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr, protocol, server_port, action,
  CAST(MAX(packets) AS bigint) AS packets,
  CAST(MAX(bytes) AS bigint) AS bytes,
  MIN(first_seen) AS first_seen,
  MAX(last_seen) AS last_seen
FROM reached
WHERE reach = 1
GROUP BY interface_id, flow_direction, srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr, protocol, server_port, action
ORDER BY first_seen, interface_id, flow_direction, srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr, protocol, server_port, action
