-- question: Which hosts reach an AWS service through a NAT gateway, where an endpoint would cost less?
-- param service: word = S3 | the service's code in AWS's ip-ranges, as S3 or DYNAMODB
-- param limit: int = 200 | rows at most
-- fields: interface_id srcaddr dstaddr pkt_srcaddr pkt_dstaddr pkt_src_aws_service pkt_dst_aws_service flow_direction traffic_path packets bytes start end action log_status
-- optional: interface_type
-- column host: str | our host
-- column seen_at: str | gateway: at an interface that takes packets for others, so it went through it; host: it left without a traffic-path, which a NAT gateway has, and a transit gateway too
-- column gateway_address: str | the gateway's own address; none where seen at the host
-- column interface_id: str | interface whose counts these are
-- column bytes_sent: int | bytes to the service
-- column bytes_back: int | bytes from the service; charged too
-- column packets: int | packets, both directions
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Works without interface-type: a gateway's interface shows its own address where the packet has another.
WITH ends AS (
  SELECT
    CASE
      WHEN flow_direction = 'ingress' AND pkt_dst_aws_service = :service AND dstaddr <> pkt_dstaddr THEN 'gateway out'
      WHEN flow_direction = 'egress' AND pkt_src_aws_service = :service AND srcaddr <> pkt_srcaddr THEN 'gateway back'
      WHEN flow_direction = 'egress' AND pkt_dst_aws_service = :service AND dstaddr = pkt_dstaddr AND COALESCE(traffic_path, 0) = 0
        AND COALESCE(interface_type, '-') NOT IN ('nat_gateway', 'regional_nat_gateway') THEN 'host out'
      WHEN flow_direction = 'ingress' AND pkt_src_aws_service = :service AND srcaddr = pkt_srcaddr AND dstaddr = pkt_dstaddr THEN 'host back'
    END AS role,
    CASE WHEN pkt_dst_aws_service = :service THEN srcaddr ELSE dstaddr END AS host,
    CASE
      WHEN pkt_dst_aws_service = :service AND dstaddr <> pkt_dstaddr THEN dstaddr
      WHEN pkt_src_aws_service = :service AND srcaddr <> pkt_srcaddr THEN srcaddr
    END AS gateway_address,
    interface_id, packets, bytes, "start", "end"
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT' AND (pkt_src_aws_service = :service OR pkt_dst_aws_service = :service)
),
hosts AS (
  SELECT
    host, interface_id,
    CASE WHEN role LIKE 'gateway%' THEN 'gateway' ELSE 'host' END AS seen_at,
    MAX(gateway_address) AS gateway_address,
    SUM(CASE WHEN role LIKE '%out' THEN bytes ELSE 0 END) AS bytes_sent,
    SUM(CASE WHEN role LIKE '%back' THEN bytes ELSE 0 END) AS bytes_back,
    SUM(packets) AS packets,
    MAX(CASE WHEN role = 'host out' OR role LIKE 'gateway%' THEN 1 ELSE 0 END) AS passes,
    MIN("start") AS first_seen,
    MAX("end") AS last_seen
  FROM ends
  WHERE role IS NOT NULL
  GROUP BY host, interface_id, CASE WHEN role LIKE 'gateway%' THEN 'gateway' ELSE 'host' END
),
ranked AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY host ORDER BY CASE WHEN seen_at = 'gateway' THEN 0 ELSE 1 END, bytes_sent + bytes_back DESC, interface_id) AS place
  FROM hosts
  WHERE passes = 1
)
SELECT
  host, seen_at, gateway_address, interface_id,
  CAST(bytes_sent AS bigint) AS bytes_sent,
  CAST(bytes_back AS bigint) AS bytes_back,
  CAST(packets AS bigint) AS packets,
  first_seen, last_seen
FROM ranked
WHERE seen_at = 'gateway' OR place = 1
ORDER BY ranked.bytes_sent + ranked.bytes_back DESC, host, seen_at, interface_id
LIMIT :limit
