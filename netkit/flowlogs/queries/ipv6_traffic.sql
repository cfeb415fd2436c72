-- question: How much IPv6 traffic is there?
-- fields: type packets bytes action log_status
-- column action: str | ACCEPT or REJECT
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsIPv6Traffic
SELECT
  action,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND type = 'IPv6'
GROUP BY action
ORDER BY action
