-- question: Which outside addresses belong to an AWS service?
-- fields: pkt_srcaddr pkt_dstaddr pkt_src_aws_service pkt_dst_aws_service log_status
-- column address: str | address in the packet
-- column aws_service: str | service code of AWS's ip-ranges
-- column records: int | flow records
SELECT address, aws_service, COUNT(*) AS records
FROM (
  SELECT
    CASE WHEN place = 1 THEN pkt_srcaddr ELSE pkt_dstaddr END AS address,
    CASE WHEN place = 1 THEN pkt_src_aws_service ELSE pkt_dst_aws_service END AS aws_service
  FROM flows
  CROSS JOIN (VALUES (1), (2)) AS places (place)
  WHERE log_status = 'OK'
) AS ends
WHERE COALESCE(NULLIF(aws_service, '-'), '') <> ''
GROUP BY address, aws_service
ORDER BY records DESC, address, aws_service
