-- question: Which addresses send most, by the packets' own addresses?
-- param limit: int = 50 | rows at most
-- fields: pkt_srcaddr action packets bytes log_status
-- column pkt_srcaddr: str | source address in the packet
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsTopTalkersPacketLevel
-- note: Traffic between two logged interfaces is counted at both.
SELECT
  NULLIF(pkt_srcaddr, '-') AS pkt_srcaddr,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT'
GROUP BY pkt_srcaddr
ORDER BY bytes DESC, pkt_srcaddr
LIMIT :limit
