-- question: Which TCP traffic is accepted?
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr dstport protocol action packets bytes log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column dstport: int | destination port
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsAcceptedTraffic
-- note: Traffic between two logged interfaces is counted at both.
SELECT
  NULLIF(srcaddr, '-') AS srcaddr,
  NULLIF(dstaddr, '-') AS dstaddr,
  dstport,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT' AND protocol = 6
GROUP BY srcaddr, dstaddr, dstport
ORDER BY bytes DESC, srcaddr, dstaddr, dstport
LIMIT :limit
