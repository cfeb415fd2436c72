-- question: Which address is each interface's own?
-- fields: interface_id srcaddr dstaddr log_status
-- column interface_id: str | interface
-- column own_address: str | the address that most of its records have at one end
-- column records: int | records with it
-- column share: float | of the interface's records of that family, 0 to 1
-- note: Every IPv4 record of an interface shows its primary private address at one end, so the share of the right one is near 1.
WITH ends AS (
  SELECT interface_id, srcaddr AS address FROM flows WHERE log_status = 'OK'
  UNION ALL
  SELECT interface_id, dstaddr AS address FROM flows WHERE log_status = 'OK'
),
counted AS (
  SELECT interface_id, address, CASE WHEN address LIKE '%:%' THEN 6 ELSE 4 END AS family, COUNT(*) AS records
  FROM ends
  GROUP BY 1, 2, 3
),
ranked AS (
  SELECT
    *,
    SUM(records) OVER (PARTITION BY interface_id, family) AS ends_total,
    ROW_NUMBER() OVER (PARTITION BY interface_id, family ORDER BY records DESC, address) AS place
  FROM counted
)
SELECT interface_id, address AS own_address, records, CAST(records * 2 AS double) / ends_total AS share
FROM ranked
WHERE place = 1
ORDER BY interface_id, own_address
