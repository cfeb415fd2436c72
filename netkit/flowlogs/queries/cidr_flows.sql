-- question: What goes between an IPv4 block and the rest?
-- param cidr: cidr | the block, as 10.0.1.0/24
-- param limit: int = 500 | rows at most
-- fields: srcaddr dstaddr srcport dstport protocol packets bytes action log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column protocol: int | IANA protocol number
-- column server_port: int | the lower port
-- column action: str | ACCEPT or REJECT
-- column packets: int | packets
-- column bytes: int | bytes
-- column flow_records: int | flow records
-- note: IPv4 only; an address is compared as an integer, so that Athena and DuckDB agree.
WITH numbered AS (
  SELECT
    *,
    TRY_CAST(split_part(srcaddr, '.', 1) AS bigint) * 16777216 + TRY_CAST(split_part(srcaddr, '.', 2) AS bigint) * 65536
      + TRY_CAST(split_part(srcaddr, '.', 3) AS bigint) * 256 + TRY_CAST(split_part(srcaddr, '.', 4) AS bigint) AS source_number,
    TRY_CAST(split_part(dstaddr, '.', 1) AS bigint) * 16777216 + TRY_CAST(split_part(dstaddr, '.', 2) AS bigint) * 65536
      + TRY_CAST(split_part(dstaddr, '.', 3) AS bigint) * 256 + TRY_CAST(split_part(dstaddr, '.', 4) AS bigint) AS destination_number
  FROM flows
  WHERE log_status = 'OK' AND srcaddr LIKE '%.%' AND dstaddr LIKE '%.%'
)
SELECT
  srcaddr, dstaddr, protocol,
  LEAST(srcport, dstport) AS server_port,
  action,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes,
  COUNT(*) AS flow_records
FROM numbered
WHERE (source_number BETWEEN :cidr_low AND :cidr_high) OR (destination_number BETWEEN :cidr_low AND :cidr_high)
GROUP BY 1, 2, 3, 4, 5
ORDER BY bytes DESC, srcaddr, dstaddr, protocol, server_port, action
LIMIT :limit
