-- question: In which time buckets does each interface have records, and where were records lost?
-- param bucket_s: seconds = 600 | seconds a bucket; not below the aggregation interval
-- fields: interface_id start log_status
-- column interface_id: str | interface
-- column bucket: int | start of the bucket, Unix seconds
-- column records: int | records of any status
-- column ok: int | records with traffic
-- column nodata: int | records that say there was none
-- column skipdata: int | records that say some were lost
-- note: An idle interface still writes NODATA, so a bucket without any record is a gap.
SELECT
  interface_id,
  "start" - "start" % :bucket_s AS bucket,
  COUNT(*) AS records,
  CAST(SUM(CASE WHEN log_status = 'OK' THEN 1 ELSE 0 END) AS bigint) AS ok,
  CAST(SUM(CASE WHEN log_status = 'NODATA' THEN 1 ELSE 0 END) AS bigint) AS nodata,
  CAST(SUM(CASE WHEN log_status = 'SKIPDATA' THEN 1 ELSE 0 END) AS bigint) AS skipdata
FROM flows
GROUP BY 1, 2
ORDER BY interface_id, bucket
