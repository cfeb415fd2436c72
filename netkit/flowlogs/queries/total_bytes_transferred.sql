-- question: Between which pairs go most bytes, accepted or not?
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr packets bytes log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsTotalBytesTransferred
-- note: Traffic between two logged interfaces is counted at both.
SELECT
  NULLIF(srcaddr, '-') AS srcaddr,
  NULLIF(dstaddr, '-') AS dstaddr,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK'
GROUP BY srcaddr, dstaddr
ORDER BY bytes DESC, srcaddr, dstaddr
LIMIT :limit
