-- question: Who uses administration ports most?
-- param limit: int = 10 | rows at most
-- fields: srcaddr dstport protocol action packets bytes log_status
-- column srcaddr: str | source address
-- column dstport: int | destination port
-- column action: str | ACCEPT or REJECT
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsAdminPortTraffic
-- note: Administration ports are 22, 23, 135, 139, 445, 1433, 3306, 3389, 5432, 5900, 5985 and 5986.
SELECT
  NULLIF(srcaddr, '-') AS srcaddr,
  dstport,
  NULLIF(action, '-') AS action,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND protocol = 6 AND dstport IN (22, 23, 135, 139, 445, 1433, 3306, 3389, 5432, 5900, 5985, 5986)
GROUP BY srcaddr, dstport, action
ORDER BY bytes DESC, srcaddr, dstport, action
LIMIT :limit
