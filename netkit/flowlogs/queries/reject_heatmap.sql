-- question: On which ports is traffic rejected in which hour?
-- param ports: int = 25 | the most rejected ports
-- param bucket_s: seconds = 3600 | seconds a bucket
-- fields: start dstport protocol action log_status
-- column bucket: int | start of the bucket, Unix seconds
-- column dstport: int | destination port
-- column protocol: int | IANA protocol number
-- column records: int | rejected flow records
WITH rejected AS (
  SELECT bucket, dstport, protocol, COUNT(*) AS records
  FROM (SELECT "start" - "start" % :bucket_s AS bucket, dstport, protocol FROM flows WHERE log_status = 'OK' AND action = 'REJECT') AS cut
  GROUP BY bucket, dstport, protocol
),
summed AS (SELECT *, SUM(records) OVER (PARTITION BY dstport, protocol) AS port_records FROM rejected),
ranked AS (SELECT *, DENSE_RANK() OVER (ORDER BY port_records DESC, dstport, protocol) AS place FROM summed)
SELECT bucket, dstport, protocol, records
FROM ranked
WHERE place <= :ports
ORDER BY bucket, dstport, protocol
