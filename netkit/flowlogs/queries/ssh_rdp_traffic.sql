-- question: Who speaks SSH and RDP with whom?
-- param limit: int = 50 | rows at most
-- fields: srcaddr dstaddr dstport protocol action packets bytes log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column dstport: int | destination port
-- column action: str | ACCEPT or REJECT
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsSshRdpTraffic
-- note: Traffic between two logged interfaces is counted at both.
SELECT
  NULLIF(srcaddr, '-') AS srcaddr,
  NULLIF(dstaddr, '-') AS dstaddr,
  dstport,
  NULLIF(action, '-') AS action,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND protocol = 6 AND dstport IN (22, 3389)
GROUP BY srcaddr, dstaddr, dstport, action
ORDER BY bytes DESC, srcaddr, dstaddr, dstport, action
LIMIT :limit
