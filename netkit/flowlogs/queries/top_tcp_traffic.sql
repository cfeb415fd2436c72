-- question: Where does one source send TCP traffic?
-- param source: address | the source address
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr dstport protocol packets bytes log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column dstport: int | destination port
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsTopTCPTraffic
-- note: Traffic between two logged interfaces is counted at both.
SELECT
  NULLIF(srcaddr, '-') AS srcaddr,
  NULLIF(dstaddr, '-') AS dstaddr,
  dstport,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND protocol = 6 AND srcaddr = :source
GROUP BY srcaddr, dstaddr, dstport
ORDER BY bytes DESC, srcaddr, dstaddr, dstport
LIMIT :limit
