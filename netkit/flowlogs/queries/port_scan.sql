-- question: Which sources try many ports and are refused?
-- param min_ports: int = 20 | distinct rejected ports that make a scan
-- param limit: int = 100 | rows at most
-- fields: srcaddr dstaddr srcport dstport start end action log_status
-- column srcaddr: str | source address
-- column ports: int | distinct rejected destination ports
-- column targets: int | distinct destinations that rejected
-- column rejected: int | rejected flow records
-- column accepted: int | accepted flow records of the same source
-- column rejected_share: float | rejected of all its records, 0 to 1
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Replies (from a port below 32768 to one from 32768 on) are left out; a scan slower than the window, or from many sources, stays below the threshold.
SELECT
  srcaddr,
  COUNT(DISTINCT CASE WHEN action = 'REJECT' AND NOT (srcport < 32768 AND dstport >= 32768) THEN dstport END) AS ports,
  COUNT(DISTINCT CASE WHEN action = 'REJECT' THEN dstaddr END) AS targets,
  CAST(SUM(CASE WHEN action = 'REJECT' THEN 1 ELSE 0 END) AS bigint) AS rejected,
  CAST(SUM(CASE WHEN action = 'ACCEPT' THEN 1 ELSE 0 END) AS bigint) AS accepted,
  CAST(SUM(CASE WHEN action = 'REJECT' THEN 1 ELSE 0 END) AS double) / COUNT(*) AS rejected_share,
  MIN(CASE WHEN action = 'REJECT' THEN "start" END) AS first_seen,
  MAX(CASE WHEN action = 'REJECT' THEN "end" END) AS last_seen
FROM flows
WHERE log_status = 'OK'
GROUP BY srcaddr
HAVING COUNT(DISTINCT CASE WHEN action = 'REJECT' AND NOT (srcport < 32768 AND dstport >= 32768) THEN dstport END) >= :min_ports
ORDER BY ports DESC, srcaddr
LIMIT :limit
