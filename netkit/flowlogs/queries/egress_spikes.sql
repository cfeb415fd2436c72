-- question: Which of our hosts send much more to an outside address than in the baseline?
-- param baseline_start: epoch | start of the baseline, Unix seconds; it ends where the window starts
-- param min_bytes: int = 100000000 | bytes sent in the window that are worth a look
-- param factor: float = 5 | times the baseline's rate
-- param limit: int = 100 | rows at most
-- fields: interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status
-- column client: str | our host (a private address): the end with the higher port
-- column server: str | an outside address
-- column protocol: int | IANA protocol number
-- column server_port: int | the lower port
-- column interface_id: str | the interface whose counts these are
-- column bytes_sent: int | bytes from the client in the window
-- column baseline_bytes: int | bytes from the client in the baseline
-- column baseline_s: int | seconds of baseline with any record
-- column window_s: int | seconds from the first to the last record in the window
-- column active_hours: int | hours of the window in which it sent
-- column first_seen: int | Unix seconds
-- column last_seen: int | Unix seconds
WITH sides AS (
  SELECT
    interface_id, protocol, packets, bytes, "start", "end",
    CASE WHEN dstport < srcport THEN srcaddr ELSE dstaddr END AS client,
    CASE WHEN dstport < srcport THEN dstaddr ELSE srcaddr END AS server,
    CASE WHEN dstport < srcport THEN bytes ELSE 0 END AS bytes_sent,
    LEAST(srcport, dstport) AS server_port,
    GREATEST(srcport, dstport) AS client_port
  FROM flows
  WHERE log_status = 'OK' AND action = 'ACCEPT' AND srcport <> dstport
),
ours AS (
  SELECT *
  FROM sides
  WHERE (client LIKE '10.%' OR client LIKE '192.168.%' OR client LIKE 'fd%'
    OR (client LIKE '172.%' AND TRY_CAST(split_part(client, '.', 2) AS integer) BETWEEN 16 AND 31)
    OR (client LIKE '100.%' AND TRY_CAST(split_part(client, '.', 2) AS integer) BETWEEN 64 AND 127))
),
span AS (
  SELECT
    GREATEST(
      COALESCE(MAX(CASE WHEN "start" < :window_start THEN "start" END) - MIN(CASE WHEN "start" < :window_start THEN "start" END), 0), 1
    ) AS baseline_s,
    GREATEST(COALESCE(MAX("end"), 0) - :window_start, 1) AS window_s
  FROM flows
),
counted AS (
  SELECT
    client, server, protocol, server_port, interface_id,
    SUM(CASE WHEN "start" >= :window_start THEN bytes_sent ELSE 0 END) AS bytes_sent,
    SUM(CASE WHEN "start" < :window_start THEN bytes_sent ELSE 0 END) AS baseline_bytes,
    COUNT(DISTINCT CASE WHEN "start" >= :window_start THEN "start" - "start" % 3600 END) AS active_hours,
    MIN(CASE WHEN "start" >= :window_start THEN "start" END) AS first_seen,
    MAX(CASE WHEN "start" >= :window_start THEN "end" END) AS last_seen
  FROM ours
  WHERE "start" >= :baseline_start AND NOT (server LIKE '10.%' OR server LIKE '192.168.%' OR server LIKE 'fd%'
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
CROSS JOIN span
WHERE place = 1 AND bytes_sent >= :min_bytes
  AND CAST(bytes_sent AS double) / window_s >= CAST(baseline_bytes AS double) / baseline_s * :factor
ORDER BY bytes_sent DESC, client, server, protocol, server_port
LIMIT :limit
