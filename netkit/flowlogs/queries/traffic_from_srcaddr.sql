-- question: What does one address send?
-- param source: address | the source address
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr srcport dstport protocol action packets bytes log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column srcport: int | source port
-- column dstport: int | destination port
-- column protocol: int | IANA protocol number
-- column action: str | ACCEPT or REJECT
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsTrafficFrmSrcAddr
SELECT
  NULLIF(srcaddr, '-') AS srcaddr,
  NULLIF(dstaddr, '-') AS dstaddr,
  srcport,
  dstport,
  protocol,
  NULLIF(action, '-') AS action,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND srcaddr = :source
GROUP BY srcaddr, dstaddr, srcport, dstport, protocol, action
ORDER BY bytes DESC, srcaddr, dstaddr, srcport, dstport, protocol, action
LIMIT :limit
