-- question: In which time buckets does each attachment of the transit gateway have records, and where were records lost?
-- param bucket_s: seconds = 600 | seconds a bucket; not below the aggregation interval
-- fields: tgw_attachment_id start log_status
-- column interface_id: str | attachment, under the name that time_gaps has
-- column bucket: int | start of the bucket, Unix seconds
-- column records: int | records of any status
-- column ok: int | records with traffic
-- column nodata: int | records that say there was none
-- column skipdata: int | records that say some were lost
SELECT
  tgw_attachment_id AS interface_id,
  "start" - "start" % :bucket_s AS bucket,
  COUNT(*) AS records,
  CAST(SUM(CASE WHEN log_status = 'OK' THEN 1 ELSE 0 END) AS bigint) AS ok,
  CAST(SUM(CASE WHEN log_status = 'NODATA' THEN 1 ELSE 0 END) AS bigint) AS nodata,
  CAST(SUM(CASE WHEN log_status = 'SKIPDATA' THEN 1 ELSE 0 END) AS bigint) AS skipdata
FROM flows
GROUP BY 1, 2
ORDER BY interface_id, bucket
