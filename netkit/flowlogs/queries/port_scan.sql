-- question: Which sources try many ports and are refused?
-- param min_ports: int = 20 | distinct rejected ports that make a scan
-- param limit: int = 100 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol start end action log_status
-- optional: tcp_flags
-- column srcaddr: str | source address
-- column ports: int | distinct rejected destination ports
-- column targets: int | distinct destinations that rejected
-- column rejected: int | rejected flow records
-- column accepted: int | accepted flow records of the same source
-- column rejected_share: float | rejected of all its records, 0 to 1
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
-- note: Replies and what comes after a close are left out (by tcp-flags, a port below 1024, or an earlier request; else what goes from below 32768 to above).
-- note: A scan slower than the window, from many sources, or with FIN packets only, stays below the threshold.
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
    srcaddr, dstaddr, dstport, action, records, first_seen, last_seen,
    CASE
      WHEN leg = 'reply' AND (known_by IN ('tcp-flags', 'port') OR (first_up IS NOT NULL AND first_down IS NOT NULL)) THEN 0
      WHEN known_by IN ('none', 'fan-in') AND srcport < 32768 AND dstport >= 32768 THEN 0
      WHEN closing = 1 THEN 0
      ELSE 1
    END AS tried
  FROM legs
)
SELECT
  srcaddr,
  COUNT(DISTINCT CASE WHEN action = 'REJECT' AND tried = 1 THEN dstport END) AS ports,
  COUNT(DISTINCT CASE WHEN action = 'REJECT' THEN dstaddr END) AS targets,
  CAST(SUM(CASE WHEN action = 'REJECT' THEN records ELSE 0 END) AS bigint) AS rejected,
  CAST(SUM(CASE WHEN action = 'ACCEPT' THEN records ELSE 0 END) AS bigint) AS accepted,
  CAST(SUM(CASE WHEN action = 'REJECT' THEN records ELSE 0 END) AS double) / SUM(records) AS rejected_share,
  MIN(CASE WHEN action = 'REJECT' THEN first_seen END) AS first_seen,
  MAX(CASE WHEN action = 'REJECT' THEN last_seen END) AS last_seen
FROM judged_records
GROUP BY srcaddr
HAVING COUNT(DISTINCT CASE WHEN action = 'REJECT' AND tried = 1 THEN dstport END) >= :min_ports
ORDER BY ports DESC, srcaddr
LIMIT :limit
