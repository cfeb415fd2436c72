-- question: Which addresses send most?
-- param limit: int = 50 | rows at most
-- fields: srcaddr action packets bytes log_status
-- column srcaddr: str | source address
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsTopTalkers
-- note: Traffic between two logged interfaces is counted at both.
SELECT
  NULLIF(srcaddr, '-') AS srcaddr,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT'
GROUP BY srcaddr
ORDER BY bytes DESC, srcaddr
LIMIT :limit
