-- question: What leaves the VPC, where to, and through what?
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr pkt_dst_aws_service flow_direction traffic_path packets bytes start end action log_status
-- optional: interface_type next_hop_interface_type
-- column srcaddr: str | our host
-- column dstaddr: str | where it went
-- column aws_service: str | AWS service that owns it, if any
-- column path: str | by traffic-path: another resource of the VPC (1), internet gateway or gateway endpoint (2), virtual private gateway (3), peering (4), peering to another region (5), local gateway (6), gateway endpoint (7), internet gateway (8); NAT gateway where the next hop says so; NAT gateway or other (AWS has no code for it)
-- column bytes: int | bytes sent
-- column packets: int | packets sent
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Counted at the sending host and not again at the NAT gateway, where interface-type says which that is.
SELECT
  srcaddr, dstaddr,
  NULLIF(pkt_dst_aws_service, '-') AS aws_service,
  CASE traffic_path
    WHEN 1 THEN 'another resource of the VPC'
    WHEN 2 THEN 'internet gateway or gateway endpoint'
    WHEN 3 THEN 'virtual private gateway'
    WHEN 4 THEN 'peering'
    WHEN 5 THEN 'peering to another region'
    WHEN 6 THEN 'local gateway'
    WHEN 7 THEN 'gateway endpoint'
    WHEN 8 THEN 'internet gateway'
    ELSE CASE
      WHEN next_hop_interface_type IN ('nat_gateway', 'regional_nat_gateway') THEN 'NAT gateway'
      WHEN next_hop_interface_type = 'transit_gateway' THEN 'transit gateway'
      WHEN next_hop_interface_type = 'vpc_endpoint' THEN 'interface endpoint'
      ELSE 'NAT gateway or other'
    END
  END AS path,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT' AND flow_direction = 'egress'
  AND COALESCE(NULLIF(interface_type, '-'), 'none') NOT IN ('nat_gateway', 'regional_nat_gateway')
  AND (traffic_path BETWEEN 2 AND 8 OR NOT (dstaddr LIKE '10.%' OR dstaddr LIKE '192.168.%' OR dstaddr LIKE 'fd%'
    OR (dstaddr LIKE '172.%' AND TRY_CAST(split_part(dstaddr, '.', 2) AS integer) BETWEEN 16 AND 31)
    OR (dstaddr LIKE '100.%' AND TRY_CAST(split_part(dstaddr, '.', 2) AS integer) BETWEEN 64 AND 127)))
GROUP BY 1, 2, 3, 4
ORDER BY bytes DESC, srcaddr, dstaddr, aws_service, path
LIMIT :limit
