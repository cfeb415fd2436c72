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
-- note: Matched by both ports, so a guess where two hosts use the same ones; what could be two addresses is left out. With the pkt- fields ask packet_rewrites.
WITH sums AS (
  SELECT interface_id, protocol, srcaddr, dstaddr, srcport, dstport,
         SUM(packets) AS packets, SUM(bytes) AS bytes, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK' AND protocol IN (6, 17)
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport
),
-- Each flow twice: `shown` may stand for another address, `kept` is the end that both interfaces agree on.
sides AS (
  SELECT
    sums.*,
    CASE WHEN places.place = 1 THEN 'source' ELSE 'destination' END AS side,
    CASE WHEN places.place = 1 THEN srcaddr ELSE dstaddr END AS shown,
    CASE WHEN places.place = 1 THEN dstaddr ELSE srcaddr END AS kept
  FROM sums
  CROSS JOIN (VALUES (1), (2)) AS places (place)
),
counted AS (SELECT *, COUNT(*) OVER (PARTITION BY interface_id, shown) AS shown_count FROM sides),
owned AS (
  SELECT *, FIRST_VALUE(shown) OVER (PARTITION BY interface_id ORDER BY shown_count DESC, shown) AS own FROM counted
),
faced AS (
  SELECT
    *,
    COUNT(CASE WHEN kept = own THEN 1 END) OVER (PARTITION BY side, protocol, kept, srcport, dstport, shown) AS same_far,
    MIN(CASE WHEN kept = own THEN shown END) OVER (PARTITION BY side, protocol, kept, srcport, dstport) AS far_least,
    MAX(CASE WHEN kept = own THEN shown END) OVER (PARTITION BY side, protocol, kept, srcport, dstport) AS far_most,
    MIN(CASE WHEN kept = own THEN first_seen END) OVER (PARTITION BY side, protocol, kept, srcport, dstport) AS far_first,
    MAX(CASE WHEN kept = own THEN last_seen END) OVER (PARTITION BY side, protocol, kept, srcport, dstport) AS far_last
  FROM owned
)
SELECT
  interface_id, own AS own_address, far_least AS real_address, side,
  LEAST(srcport, dstport) AS port,
  COUNT(*) AS flow_count,
  CAST(SUM(packets) AS bigint) AS packets,
  CAST(SUM(bytes) AS bigint) AS bytes
FROM faced
WHERE shown = own AND kept <> own AND same_far = 0 AND far_least = far_most AND far_least <> own
  AND first_seen <= far_last + 60 AND far_first <= last_seen + 60
GROUP BY interface_id, own, far_least, side, LEAST(srcport, dstport)
ORDER BY flow_count DESC, interface_id, own_address, real_address, side, port
