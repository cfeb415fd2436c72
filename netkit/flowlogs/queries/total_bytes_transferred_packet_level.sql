-- question: Between which pairs go most bytes, by the packets' own addresses?
-- param limit: int = 50 | rows at most
-- fields: pkt_srcaddr pkt_dstaddr packets bytes log_status
-- column pkt_srcaddr: str | source address in the packet
-- column pkt_dstaddr: str | destination address in the packet
-- column bytes: int | bytes
-- column packets: int | packets
-- column flow_records: int | flow records
-- aws: VpcFlowLogsTotalBytesTransferredPacketLevel
-- note: Traffic between two logged interfaces is counted at both.
SELECT
  NULLIF(pkt_srcaddr, '-') AS pkt_srcaddr,
  NULLIF(pkt_dstaddr, '-') AS pkt_dstaddr,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records
FROM flows
WHERE log_status = 'OK'
GROUP BY pkt_srcaddr, pkt_dstaddr
ORDER BY bytes DESC, pkt_srcaddr, pkt_dstaddr
LIMIT :limit
