-- question: To which inside addresses does traffic go that said something once, and nothing since?
-- param quiet_s: seconds = 600 | seconds without a word from it, while others went on sending
-- param limit: int = 200 | rows at most
-- fields: interface_id srcaddr dstaddr packets bytes start end action log_status
-- column address: str | the address: its interface is gone, or its host is silent
-- column last_heard: int | end of its last record as a source, Unix seconds
-- column sources: int | distinct senders since
-- column packets_since: int | packets sent to it since, each at the interface that saw most
-- column bytes_since: int | bytes sent to it since
-- column first_since: int | Unix seconds, of the first record after it was last heard
-- column last_since: int | Unix seconds, of the last
-- note: Whether an interface is gone, the inventory tells (investigate.flow_logs.gone_interfaces); an address that never said anything in the window is not in here.
WITH ends AS (
  SELECT
    CASE WHEN place = 1 THEN srcaddr ELSE dstaddr END AS address,
    place, interface_id, srcaddr, packets, bytes, "start", "end"
  FROM flows
  CROSS JOIN (VALUES (1), (2)) AS places (place)
  WHERE log_status = 'OK' AND action = 'ACCEPT'
),
heard AS (
  SELECT *, MAX(CASE WHEN place = 1 THEN "end" END) OVER (PARTITION BY address) AS last_heard
  FROM ends
  WHERE (address LIKE '10.%' OR address LIKE '192.168.%' OR address LIKE 'fd%'
    OR (address LIKE '172.%' AND TRY_CAST(split_part(address, '.', 2) AS integer) BETWEEN 16 AND 31)
    OR (address LIKE '100.%' AND TRY_CAST(split_part(address, '.', 2) AS integer) BETWEEN 64 AND 127))
),
since AS (
  SELECT
    address, last_heard, srcaddr, interface_id, SUM(packets) AS packets, SUM(bytes) AS bytes, MIN("start") AS first_since, MAX("end") AS last_since
  FROM heard
  WHERE place = 2 AND "start" > last_heard
  GROUP BY address, last_heard, srcaddr, interface_id
),
ranked AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY address, srcaddr ORDER BY packets DESC, interface_id) AS place FROM since
)
SELECT
  address, last_heard,
  COUNT(*) AS sources,
  CAST(SUM(packets) AS bigint) AS packets_since,
  CAST(SUM(bytes) AS bigint) AS bytes_since,
  MIN(first_since) AS first_since,
  MAX(last_since) AS last_since
FROM ranked
WHERE place = 1
GROUP BY address, last_heard
HAVING MAX(last_since) - last_heard >= :quiet_s
ORDER BY packets_since DESC, address
LIMIT :limit
