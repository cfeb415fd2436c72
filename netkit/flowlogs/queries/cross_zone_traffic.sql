-- question: What goes between availability zones, and what does it cost about?
-- param usd_per_gb: float = 0.02 | both sides' charge together for a gigabyte that crosses a zone
-- param limit: int = 200 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes az_id action log_status
-- optional: flow_direction next_hop_az_id
-- column zone_from: str | zone that sends; without flow-direction the first by name of the two
-- column zone_to: str | zone that receives
-- column srcaddr: str | source
-- column dstaddr: str | destination
-- column bytes: int | bytes, each flow counted at one interface
-- column packets: int | packets
-- column cost_usd: float | bytes times the price
-- note: A flow is known to cross where interfaces of two zones logged it, or where next-hop-az-id says so; with one end's interface unlogged it is not seen.
-- note: For logs without az-id: investigate.flow_logs.cross_zone takes the zones of the subnets.
WITH ends AS (
  SELECT
    protocol, srcaddr, dstaddr, srcport, dstport, interface_id,
    SUM(packets) AS packets,
    SUM(bytes) AS bytes,
    MAX(CASE WHEN flow_direction = 'egress' THEN NULLIF(az_id, '-') WHEN flow_direction = 'ingress' THEN NULLIF(next_hop_az_id, '-') END) AS sender,
    MAX(CASE WHEN flow_direction = 'ingress' THEN NULLIF(az_id, '-') WHEN flow_direction = 'egress' THEN NULLIF(next_hop_az_id, '-') END) AS receiver,
    MIN(NULLIF(az_id, '-')) AS zone
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT'
  GROUP BY protocol, srcaddr, dstaddr, srcport, dstport, interface_id
),
tuples AS (
  SELECT
    srcaddr, dstaddr,
    MAX(packets) AS packets,
    MAX(bytes) AS bytes,
    COALESCE(MAX(sender), MIN(zone)) AS zone_from,
    COALESCE(MAX(receiver), MAX(zone)) AS zone_to
  FROM ends
  GROUP BY protocol, srcaddr, dstaddr, srcport, dstport
)
SELECT
  zone_from, zone_to, srcaddr, dstaddr,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS double) * 0.000000001 * :usd_per_gb AS cost_usd
FROM tuples
WHERE zone_from <> zone_to
GROUP BY zone_from, zone_to, srcaddr, dstaddr
ORDER BY bytes DESC, zone_from, zone_to, srcaddr, dstaddr
LIMIT :limit
