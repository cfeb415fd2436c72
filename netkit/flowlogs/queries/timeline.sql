-- question: What happened over time?
-- param bucket_s: seconds = 300 | seconds a bucket
-- fields: start action packets bytes log_status
-- column bucket: int | start of the bucket, Unix seconds
-- column action: str | ACCEPT or REJECT
-- column records: int | flow records that start in the bucket
-- column packets: int | packets
-- column bytes: int | bytes
SELECT
  "start" - "start" % :bucket_s AS bucket,
  action,
  COUNT(*) AS records,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes
FROM flows
WHERE log_status = 'OK'
GROUP BY 1, 2
ORDER BY bucket, action
