-- question: Which address is each interface's own?
-- fields: interface_id srcaddr dstaddr log_status
-- optional: flow_direction
-- column interface_id: str | interface
-- column own_address: str | the address that most of its records have at its end
-- column records: int | records with it
-- column share: float | of the interface's records of that family, 0 to 1
-- column sure: int | 1 where nothing else comes as near: an interface that spoke with one other only has two addresses in every record
-- note: Every IPv4 record of an interface shows its primary private address at one end, so the share of the right one is near 1.
-- note: Its end is the source of what leaves and the destination of what comes in (flow-direction); a private address goes before a public one.
WITH ends AS (
  SELECT
    interface_id,
    CASE WHEN place = 1 THEN srcaddr ELSE dstaddr END AS address,
    CASE WHEN (flow_direction = 'egress' AND place = 1) OR (flow_direction = 'ingress' AND place = 2) THEN 1 ELSE 0 END AS own_end
  FROM flows
  CROSS JOIN (VALUES (1), (2)) AS places (place)
  WHERE log_status = 'OK'
),
counted AS (
  SELECT
    interface_id, address, CASE WHEN address LIKE '%:%' THEN 6 ELSE 4 END AS family, COUNT(*) AS records, SUM(own_end) AS own_ends,
    CASE
      WHEN address LIKE '10.%' OR address LIKE '192.168.%' OR address LIKE 'fd%'
        OR (address LIKE '172.%' AND TRY_CAST(split_part(address, '.', 2) AS integer) BETWEEN 16 AND 31)
        OR (address LIKE '100.%' AND TRY_CAST(split_part(address, '.', 2) AS integer) BETWEEN 64 AND 127) THEN 1
      ELSE 0
    END AS private
  FROM ends
  GROUP BY interface_id, address
),
ranked AS (
  SELECT
    *,
    SUM(records) OVER (PARTITION BY interface_id, family) AS ends_total,
    COUNT(*) OVER (PARTITION BY interface_id, family, own_ends, records, private) AS equals,
    ROW_NUMBER() OVER (PARTITION BY interface_id, family ORDER BY own_ends DESC, records DESC, private DESC, address) AS place
  FROM counted
)
SELECT
  interface_id, address AS own_address, records, CAST(records * 2 AS double) / ends_total AS share,
  CASE WHEN equals = 1 THEN 1 ELSE 0 END AS sure
FROM ranked
WHERE place = 1
ORDER BY interface_id, own_address
