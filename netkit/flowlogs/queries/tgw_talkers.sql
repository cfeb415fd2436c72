-- question: Who sends most through each attachment of the transit gateway?
-- param limit: int = 50 | rows at most
-- fields: tgw_attachment_id tgw_pair_attachment_id srcaddr dstaddr packets bytes start end log_status
-- optional: flow_direction
-- column tgw_attachment_id: str | attachment that the packets came by
-- column tgw_pair_attachment_id: str | attachment that they left by
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Counted where the traffic enters (flow-direction ingress), so that it is not counted again where it leaves; without that field both are in.
SELECT
  NULLIF(tgw_attachment_id, '-') AS tgw_attachment_id,
  NULLIF(tgw_pair_attachment_id, '-') AS tgw_pair_attachment_id,
  srcaddr, dstaddr,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND COALESCE(flow_direction, 'ingress') <> 'egress'
GROUP BY tgw_attachment_id, tgw_pair_attachment_id, srcaddr, dstaddr
ORDER BY bytes DESC, tgw_attachment_id, tgw_pair_attachment_id, srcaddr, dstaddr
LIMIT :limit
