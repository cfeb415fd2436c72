-- question: Which instances carry most?
-- param limit: int = 50 | rows at most
-- fields: instance_id action packets bytes log_status
-- column instance_id: str | instance; none for interfaces that AWS manages
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsTopTalkingInstances
SELECT
  NULLIF(instance_id, '-') AS instance_id,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT' AND instance_id <> '-'
GROUP BY instance_id
ORDER BY bytes DESC, instance_id
LIMIT :limit
