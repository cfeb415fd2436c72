-- question: Which of our hosts send much more to an outside address than in the baseline?
-- param baseline_start: epoch | start of the baseline, Unix seconds; it ends where the window starts
-- param min_bytes: int = 100000000 | bytes sent in the window that are worth a look
-- param factor: float = 5 | times the baseline's rate
-- param limit: int = 100 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol bytes start end action log_status
-- optional: tcp_flags
-- column client: str | our host (a private address), which asked
-- column server: str | an outside address
-- column protocol: int | IANA protocol number
-- column server_port: int | the server's port
-- column interface_id: str | the interface whose counts these are
-- column bytes_sent: int | bytes from the client in the window
-- column baseline_bytes: int | bytes from the client in the baseline
-- column baseline_s: int | seconds of baseline with any record
-- column window_s: int | seconds from the first to the last record in the window
-- column active_hours: int | hours of the window in which it sent
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
WITH everything AS (
  SELECT
    interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action, log_status,
    "start" - "start" % 3600 AS slot,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 < 16 THEN 1 ELSE 0 END) AS asks,
    MAX(CASE WHEN protocol = 6 AND tcp_flags % 4 >= 2 AND tcp_flags % 32 >= 16 THEN 1 ELSE 0 END) AS answers,
    SUM(CASE WHEN "start" >= :window_start THEN bytes ELSE 0 END) AS window_bytes,
    SUM(CASE WHEN "start" < :window_start THEN bytes ELSE 0 END) AS before_bytes,
    MIN("start") AS first_seen,
    MIN(CASE WHEN "start" >= :window_start THEN "start" END) AS window_first,
    MAX(CASE WHEN "start" >= :window_start THEN "end" END) AS window_last,
    GREATEST(
      COALESCE(
        MAX(MAX(CASE WHEN "start" < :window_start THEN "start" END)) OVER ()
          - MIN(MIN(CASE WHEN "start" < :window_start THEN "start" END)) OVER (), 0
      ), 1
    ) AS baseline_s,
    GREATEST(COALESCE(MAX(MAX("end")) OVER (), 0) - :window_start, 1) AS window_s
  FROM flows
  GROUP BY interface_id, protocol, srcaddr, dstaddr, srcport, dstport, action, log_status, "start" - "start" % 3600
),
tuples AS (
  SELECT * FROM everything WHERE log_status = 'OK' AND action = 'ACCEPT' AND srcport <> dstport
),
-- include: legs
counted AS (
  SELECT
    client, server, protocol, server_port, interface_id,
    SUM(CASE WHEN to_server = 1 THEN window_bytes ELSE 0 END) AS bytes_sent,
    SUM(CASE WHEN to_server = 1 THEN before_bytes ELSE 0 END) AS baseline_bytes,
    COUNT(DISTINCT CASE WHEN window_first IS NOT NULL THEN slot END) AS active_hours,
    MIN(window_first) AS first_seen,
    MAX(window_last) AS last_seen,
    MAX(baseline_s) AS baseline_s,
    MAX(window_s) AS window_s
  FROM legs
  WHERE (client LIKE '10.%' OR client LIKE '192.168.%' OR client LIKE 'fd%'
    OR (client LIKE '172.%' AND TRY_CAST(split_part(client, '.', 2) AS integer) BETWEEN 16 AND 31)
    OR (client LIKE '100.%' AND TRY_CAST(split_part(client, '.', 2) AS integer) BETWEEN 64 AND 127))
    AND NOT (server LIKE '10.%' OR server LIKE '192.168.%' OR server LIKE 'fd%'
    OR (server LIKE '172.%' AND TRY_CAST(split_part(server, '.', 2) AS integer) BETWEEN 16 AND 31)
    OR (server LIKE '100.%' AND TRY_CAST(split_part(server, '.', 2) AS integer) BETWEEN 64 AND 127))
  GROUP BY client, server, protocol, server_port, interface_id
),
ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY client, server, protocol, server_port ORDER BY bytes_sent DESC, interface_id) AS place
  FROM counted
)
SELECT
  client, server, protocol, server_port, interface_id,
  CAST(bytes_sent AS bigint) AS bytes_sent,
  CAST(baseline_bytes AS bigint) AS baseline_bytes,
  CAST(baseline_s AS bigint) AS baseline_s,
  CAST(window_s AS bigint) AS window_s,
  active_hours, first_seen, last_seen
FROM ranked
WHERE place = 1 AND bytes_sent >= :min_bytes
  AND CAST(bytes_sent AS double) / window_s >= CAST(baseline_bytes AS double) / baseline_s * :factor
ORDER BY ranked.bytes_sent DESC, client, server, protocol, server_port
LIMIT :limit
