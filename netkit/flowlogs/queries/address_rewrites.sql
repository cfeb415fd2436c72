-- question: Where does an interface show its own address while the other end of the same flow shows another?
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end log_status
-- column interface_id: str | interface whose record shows its own address
-- column own_address: str | that address
-- column real_address: str | what the other end's interface logged instead
-- column side: str | source: it stands in for the sender (a NAT gateway); destination: the packet was meant for real_address (a second address)
-- column port: int | the service's port: the lower of the two
-- column flow_count: int | flows matched by protocol, both ports and time
-- column packets: int | packets
-- column bytes: int | bytes
-- note: For logs without pkt-srcaddr and pkt-dstaddr. The ingress record shows the primary private address whatever the packet said.
WITH sums AS (
  SELECT interface_id, protocol, srcaddr, dstaddr, srcport, dstport,
         SUM(packets) AS packets, SUM(bytes) AS bytes, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK' AND protocol IN (6, 17)
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport
),
ends AS (
  SELECT interface_id, srcaddr AS address, COUNT(*) AS flow_count FROM sums GROUP BY interface_id, srcaddr
  UNION ALL
  SELECT interface_id, dstaddr AS address, COUNT(*) AS flow_count FROM sums GROUP BY interface_id, dstaddr
),
counted AS (SELECT interface_id, address, SUM(flow_count) AS flow_count FROM ends GROUP BY interface_id, address),
ranked AS (
  SELECT interface_id, address, flow_count, ROW_NUMBER() OVER (PARTITION BY interface_id ORDER BY flow_count DESC, address) AS place FROM counted
),
own AS (SELECT interface_id, address FROM ranked WHERE place = 1),
rewritten AS (
  SELECT near.interface_id, mine.address AS own_address, far.srcaddr AS real_address, 'source' AS side, LEAST(near.srcport, near.dstport) AS port, near.packets, near.bytes, near.first_seen, near.last_seen
  FROM sums near
  JOIN own mine ON mine.interface_id = near.interface_id AND mine.address = near.srcaddr
  JOIN sums far ON far.protocol = near.protocol AND far.dstaddr = near.dstaddr AND far.srcport = near.srcport AND far.dstport = near.dstport
   AND far.interface_id <> near.interface_id AND far.srcaddr <> near.srcaddr
  JOIN own theirs ON theirs.interface_id = far.interface_id AND theirs.address = far.dstaddr
  WHERE near.first_seen <= far.last_seen + 60 AND far.first_seen <= near.last_seen + 60
  UNION ALL
  SELECT near.interface_id, mine.address, far.dstaddr, 'destination', LEAST(near.srcport, near.dstport), near.packets, near.bytes, near.first_seen, near.last_seen
  FROM sums near
  JOIN own mine ON mine.interface_id = near.interface_id AND mine.address = near.dstaddr
  JOIN sums far ON far.protocol = near.protocol AND far.srcaddr = near.srcaddr AND far.srcport = near.srcport AND far.dstport = near.dstport
   AND far.interface_id <> near.interface_id AND far.dstaddr <> near.dstaddr
  JOIN own theirs ON theirs.interface_id = far.interface_id AND theirs.address = far.srcaddr
  WHERE near.first_seen <= far.last_seen + 60 AND far.first_seen <= near.last_seen + 60
)
SELECT interface_id, own_address, real_address, side, port, COUNT(*) AS flow_count, CAST(SUM(packets) AS bigint) AS packets, CAST(SUM(bytes) AS bigint) AS bytes
FROM rewritten GROUP BY interface_id, own_address, real_address, side, port
ORDER BY flow_count DESC, interface_id, own_address, real_address, side, port
