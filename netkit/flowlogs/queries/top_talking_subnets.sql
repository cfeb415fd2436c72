-- question: Which subnets carry most?
-- param limit: int = 50 | rows at most
-- fields: subnet_id action packets bytes log_status
-- column subnet_id: str | subnet
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsTopTalkingSubnets
SELECT
  NULLIF(subnet_id, '-') AS subnet_id,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT' AND subnet_id <> '-'
GROUP BY subnet_id
ORDER BY bytes DESC, subnet_id
LIMIT :limit
