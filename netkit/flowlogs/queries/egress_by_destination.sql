-- question: What leaves the VPC, where to, and through what?
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr pkt_dst_aws_service flow_direction traffic_path interface_type packets bytes start end action log_status
-- column srcaddr: str | our host
-- column dstaddr: str | outside address
-- column aws_service: str | AWS service that owns it, if any
-- column path: str | internet gateway, gateway endpoint, or NAT gateway or other (AWS has no code for it)
-- column bytes: int | bytes sent
-- column packets: int | packets sent
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Counted at the sending host and not again at the NAT gateway.
SELECT
  srcaddr, dstaddr,
  NULLIF(pkt_dst_aws_service, '-') AS aws_service,
  CASE
    WHEN traffic_path = 8 THEN 'internet gateway'
    WHEN traffic_path IN (2, 7) THEN 'gateway endpoint'
    ELSE 'NAT gateway or other'
  END AS path,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT' AND flow_direction = 'egress'
  AND COALESCE(NULLIF(interface_type, '-'), 'none') NOT IN ('nat_gateway', 'regional_nat_gateway')
  AND NOT (dstaddr LIKE '10.%' OR dstaddr LIKE '192.168.%' OR dstaddr LIKE 'fd%'
    OR (dstaddr LIKE '172.%' AND TRY_CAST(split_part(dstaddr, '.', 2) AS integer) BETWEEN 16 AND 31)
    OR (dstaddr LIKE '100.%' AND TRY_CAST(split_part(dstaddr, '.', 2) AS integer) BETWEEN 64 AND 127))
GROUP BY 1, 2, 3, 4
ORDER BY bytes DESC, srcaddr, dstaddr, aws_service, path
LIMIT :limit
