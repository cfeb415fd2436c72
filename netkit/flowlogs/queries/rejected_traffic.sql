-- question: Which traffic is rejected?
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr dstport protocol action packets bytes log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column dstport: int | destination port
-- column protocol: int | IANA protocol number
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsRejectedTraffic
SELECT
  NULLIF(srcaddr, '-') AS srcaddr,
  NULLIF(dstaddr, '-') AS dstaddr,
  dstport,
  protocol,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND action = 'REJECT'
GROUP BY srcaddr, dstaddr, dstport, protocol
ORDER BY bytes DESC, srcaddr, dstaddr, dstport, protocol
LIMIT :limit
