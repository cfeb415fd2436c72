-- question: Which sources try the same port on many hosts and are refused?
-- param min_hosts: int = 8 | distinct rejecting hosts that make a sweep
-- param limit: int = 100 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol start end action log_status
-- optional: tcp_flags
-- column srcaddr: str | source address
-- column protocol: int | IANA protocol number
-- column dstport: int | destination port
-- column hosts: int | distinct destinations that rejected
-- column rejected: int | rejected flow records
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Replies and what comes after a close are left out, as in port_scan.
WITH tuples AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    MIN(CASE WHEN protocol = 6 AND tcp_flags % 4 < 2 AND (tcp_flags % 2 = 1 OR tcp_flags % 8 >= 4) THEN 1 ELSE 0 END) AS closing,
    COUNT(*) AS records, MIN("start") AS first_seen, MAX("end") AS last_seen
  FROM flows
  WHERE log_status = 'OK'
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action
),
-- include: legs
judged_records AS (
  SELECT
    srcaddr, dstaddr, dstport, protocol, action, records, first_seen, last_seen,
    CASE
      WHEN leg = 'reply' AND (known_by IN ('tcp-flags', 'port') OR (first_up IS NOT NULL AND first_down IS NOT NULL)) THEN 0
      WHEN known_by IN ('none', 'fan-in') AND srcport < 32768 AND dstport >= 32768 THEN 0
      WHEN closing = 1 THEN 0
      ELSE 1
    END AS tried
  FROM legs
)
SELECT
  srcaddr, protocol, dstport,
  COUNT(DISTINCT dstaddr) AS hosts,
  CAST(SUM(records) AS bigint) AS rejected,
  MIN(first_seen) AS first_seen,
  MAX(last_seen) AS last_seen
FROM judged_records
WHERE action = 'REJECT' AND tried = 1
GROUP BY srcaddr, protocol, dstport
HAVING COUNT(DISTINCT dstaddr) >= :min_hosts
ORDER BY hosts DESC, srcaddr, protocol, dstport
LIMIT :limit
