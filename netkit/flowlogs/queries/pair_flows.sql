-- question: At which interfaces was the traffic between two addresses seen?
-- param source: address | one end
-- param destination: address | the other end
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- column interface_id: str | interface
-- column srcaddr: str | source at that hop
-- column dstaddr: str | destination at that hop
-- column protocol: int | IANA protocol number
-- column server_port: int | the lower port
-- column action: str | ACCEPT or REJECT
-- column packets: int | packets
-- column bytes: int | bytes
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Without pkt-srcaddr and pkt-dstaddr in the log, what a NAT gateway or a second address hides stays hidden; see flow_hops.
SELECT
  interface_id, srcaddr, dstaddr, protocol,
  LEAST(srcport, dstport) AS server_port,
  action,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND srcaddr IN (:source, :destination) AND dstaddr IN (:source, :destination)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY first_seen, interface_id, srcaddr, dstaddr, protocol, server_port, action
