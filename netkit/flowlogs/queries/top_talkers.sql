-- question: Who sends most bytes to whom?
-- param limit: int = 10 | rows at most
-- fields: srcaddr dstaddr packets bytes action log_status
-- column srcaddr: str | source address
-- column dstaddr: str | destination address
-- column bytes: int | bytes, accepted
-- column packets: int | packets, accepted
-- column flow_records: int | flow records: one for each interface, direction and aggregation interval
-- column connection_count: int | the same number under the name of the guide this kit grew from; it does not count connections
-- note: The same traffic is counted at every logged interface it passes, so a pair with both ends in the VPC counts twice; see conversations.
-- note: Only OK records count; NODATA and SKIPDATA rows have no addresses.
SELECT
  srcaddr,
  dstaddr,
  CAST(SUM(bytes) AS bigint) AS bytes,
  CAST(SUM(packets) AS bigint) AS packets,
  COUNT(*) AS flow_records,
  COUNT(*) AS connection_count
FROM flows
WHERE log_status = 'OK' AND action = 'ACCEPT'
GROUP BY srcaddr, dstaddr
ORDER BY bytes DESC, srcaddr, dstaddr
LIMIT :limit
