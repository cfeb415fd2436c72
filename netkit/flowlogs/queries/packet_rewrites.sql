-- question: For which other addresses does an interface show its own, by the packets' own addresses?
-- fields: interface_id srcaddr dstaddr srcport dstport packets bytes pkt_srcaddr pkt_dstaddr log_status
-- optional: instance_id interface_type
-- column interface_id: str | interface whose record shows its own address
-- column own_address: str | the address that it shows
-- column real_address: str | the address in the packet (pkt-srcaddr, pkt-dstaddr)
-- column side: str | source: it stands in for the sender; destination: the packet was meant for real_address
-- column port: int | the lower port
-- column managed: int | 1: the interface has no instance, so AWS manages it (a gateway's); 0: an instance's; none without instance-id
-- column type: str | interface-type; none without that field
-- column flow_count: int | flow records
-- column packets: int | packets
-- column bytes: int | bytes
-- note: A gateway's interface shows its own address for what passes through, an instance's for its secondary addresses: the same in the record.
SELECT
  interface_id, own_address, real_address, side, port, managed, type,
  COUNT(*) AS flow_count,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes
FROM (
  SELECT
    interface_id, packets, bytes,
    LEAST(srcport, dstport) AS port,
    CASE WHEN place = 1 THEN srcaddr ELSE dstaddr END AS own_address,
    NULLIF(CASE WHEN place = 1 THEN pkt_srcaddr ELSE pkt_dstaddr END, '-') AS real_address,
    CASE WHEN place = 1 THEN 'source' ELSE 'destination' END AS side,
    CASE WHEN instance_id = '-' THEN 1 WHEN instance_id IS NOT NULL THEN 0 END AS managed,
    NULLIF(interface_type, '-') AS type
  FROM flows
  CROSS JOIN (VALUES (1), (2)) AS places (place)
  WHERE log_status = 'OK'
) AS ends
WHERE own_address <> real_address
GROUP BY interface_id, own_address, real_address, side, port, managed, type
ORDER BY flow_count DESC, interface_id, own_address, real_address, side, port, managed, type
