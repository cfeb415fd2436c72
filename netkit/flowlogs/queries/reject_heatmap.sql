-- question: On which ports is traffic rejected in which hour?
-- param ports: int = 25 | the most rejected ports
-- param bucket_s: seconds = 3600 | seconds a bucket
-- fields: start dstport protocol action log_status
-- column bucket: int | start of the bucket, Unix seconds
-- column dstport: int | destination port
-- column protocol: int | IANA protocol number
-- column records: int | rejected flow records
WITH rejected AS (
  SELECT "start" - "start" % :bucket_s AS bucket, dstport, protocol
  FROM flows
  WHERE log_status = 'OK' AND action = 'REJECT'
),
top AS (
  SELECT dstport, protocol, COUNT(*) AS records
  FROM rejected
  GROUP BY dstport, protocol
  ORDER BY records DESC, dstport, protocol
  LIMIT :ports
)
SELECT rejected.bucket, rejected.dstport, rejected.protocol, COUNT(*) AS records
FROM rejected
JOIN top ON top.dstport = rejected.dstport AND top.protocol = rejected.protocol
GROUP BY rejected.bucket, rejected.dstport, rejected.protocol
ORDER BY bucket, dstport, protocol
