-- question: Which sources try the same port on many hosts and are refused?
-- param min_hosts: int = 8 | distinct rejecting hosts that make a sweep
-- param limit: int = 100 | rows at most
-- fields: srcaddr dstaddr srcport dstport protocol start end action log_status
-- column srcaddr: str | source address
-- column protocol: int | IANA protocol number
-- column dstport: int | destination port
-- column hosts: int | distinct destinations that rejected
-- column rejected: int | rejected flow records
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
SELECT
  srcaddr, protocol, dstport,
  COUNT(DISTINCT dstaddr) AS hosts,
  COUNT(*) AS rejected,
  MIN("start") AS first_seen,
  MAX("end") AS last_seen
FROM flows
WHERE log_status = 'OK' AND action = 'REJECT' AND NOT (srcport < 32768 AND dstport >= 32768)
GROUP BY srcaddr, protocol, dstport
HAVING COUNT(DISTINCT dstaddr) >= :min_hosts
ORDER BY hosts DESC, srcaddr, protocol, dstport
LIMIT :limit
